"""Say before a canary begins what it can find with the endpoint's traffic."""

from __future__ import annotations

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model.judge.power import power

from ..connection import answering, workspace_client
from ..monitoring.error_rate import error_rate
from ..monitoring.statements import warehouse_of

_DAYS = 7
_ASSUMED = 0.01
"""Error rate of a champion that has made no error: with none at all nothing can be computed."""


def prospects(settings: Settings, percent: int, requests_per_day: float | None = None) -> list[str]:
    """Return a sentence for each of several true differences, or why there is none.

    Parameters
    ----------
    requests_per_day
        By default the mean of the last week, from the inference table.
    """
    rate = _ASSUMED
    if requests_per_day is None:
        try:
            requests_per_day, rate = _last_week(settings)
        except DeployError as error:
            return [f"How long it takes is not known: {error}. Say --requests-per-day."]
    if requests_per_day * _DAYS < 1:
        watch = f"`scgpt canary watch {settings.environment}`"
        return [f"No requests in the last week: {watch} can compare by probes alone."]
    found = power(percent / 100, requests_per_day, rate or _ASSUMED)
    sentences = [each.sentence for each in found]
    if any(each.days is None or each.days > _DAYS for each in found if each.ratio > 1):
        sentences.append(
            f"To know sooner: `scgpt canary replay {settings.environment}` sends recent requests "
            "to both versions."
        )
    return sentences


def _last_week(settings: Settings) -> tuple[float, float]:
    """Return requests per day and their error rate."""
    table = settings.names.inference_table
    if table is None:
        raise DeployError(f"{settings.environment} logs no requests")
    with answering(settings):
        client = workspace_client(settings)
        found = error_rate(
            client, table=table, warehouse=warehouse_of(client, settings), hours=_DAYS * 24
        )
    return found.requests / _DAYS, found.error_rate
