"""Send recent requests of an endpoint again, to challenger and champion alike.

Pairs need no traffic of users and no luck: the same request goes to both. They carry an id that
what operators read leaves out.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring import query
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model.client import Endpoint
from scgpt_databricks.model.judge.verdict import Decision, Replay, Rules, is_infrastructure

from ..connection import connected
from ..monitoring.statements import rows, warehouse_of
from .canary import MARK, challenger, no_canary
from .operation import Report
from .point import WorkingTree

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_TIMEOUT_S = 300


@dataclass(frozen=True)
class Replayed:
    """How both versions answered the same requests.

    Parameters
    ----------
    slower
        Median over the pairs of the challenger's time over the champion's.
    """

    environment: str
    pairs: int
    only_challenger_failed: int
    only_champion_failed: int
    infrastructure: int
    slower: float | None
    decision: Decision
    reason: str


def replay(
    settings: Settings, *, most: int, hours: int, rules: Rules | None = None, report: Report
) -> Replayed:
    """Send the newest logged requests to both versions, one after the other.

    Raises
    ------
    DeployError
        No canary runs, or the environment logs no requests.
    """
    with connected(settings) as client:
        manifest = WorkingTree().find(settings)
        tried = challenger(manifest)
        if manifest is None or tried is None:
            raise DeployError(no_canary(settings.environment))
        names = (manifest.name_of(tried), manifest.name_of(manifest.champion))
        endpoint = Endpoint.of(settings.names.endpoint, client)
        pairs = _Pairs(endpoint, names)
        for number, body in enumerate(_logged(client, settings, most, hours)):
            pairs.send(body, number)
            if number % 10 == 9:
                report(f"{number + 1} requests were sent to both")
    of_challenger, of_champion = pairs.alone
    verdict = Replay(
        pairs.answered, of_challenger, of_champion, pairs.infrastructure, rules or Rules()
    ).verdict()
    return Replayed(
        settings.environment,
        pairs.answered,
        of_challenger,
        of_champion,
        pairs.infrastructure,
        statistics.median(pairs.ratios) if pairs.ratios else None,
        verdict.decision,
        verdict.reason,
    )


class _Pairs:
    """Requests that were sent to both."""

    def __init__(self, endpoint: Endpoint, names: tuple[str, str]) -> None:
        self._endpoint, self._urls = endpoint, [endpoint.url_of(name) for name in names]
        self._session, self._id = requests.Session(), uuid.uuid4().hex[:8]
        self.answered, self.infrastructure, self.alone = 0, 0, [0, 0]
        self.ratios: list[float] = []

    def send(self, body: dict[str, Any], number: int) -> None:
        """Send one request to both, and begin with the other one each time."""
        sent = {**body, "client_request_id": f"{MARK}-{self._id}-{number}"}
        order = (0, 1) if number % 2 else (1, 0)
        found = {which: self._ask(self._urls[which], sent) for which in order}
        statuses = [found[which][0] for which in (0, 1)]
        if any(map(is_infrastructure, statuses)):
            self.infrastructure += 1
            return
        self.answered += 1
        failed = [status is None or status >= 400 for status in statuses]
        if failed == [False, False]:
            self.ratios.append(found[0][1] / found[1][1])
        elif failed[0] != failed[1]:
            self.alone[failed.index(True)] += 1

    def _ask(self, url: str, body: dict[str, Any]) -> tuple[int | None, float]:
        began = time.perf_counter()
        try:
            answer = self._session.post(
                url, json=body, headers=dict(self._endpoint.headers()), timeout=_TIMEOUT_S
            )
        except requests.RequestException:
            return None, 0.0
        return answer.status_code, time.perf_counter() - began


def _logged(
    client: WorkspaceClient, settings: Settings, most: int, hours: int
) -> Iterator[dict[str, Any]]:
    """Yield the newest requests of users that the inference table holds whole."""
    table = settings.names.inference_table
    if table is None:
        raise DeployError(
            f"{settings.environment} logs no requests, so there is nothing to replay: set "
            "gateway.inference_table_prefix, or probe with cells by `scgpt canary watch`"
        )
    statement = query("recent", table=table, hours=hours, most=most)
    for (text,) in rows(client, statement, warehouse_of(client, settings)):
        try:
            yield json.loads(text)
        except ValueError:  # the platform cuts requests above its limit off
            continue
