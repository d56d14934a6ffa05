"""``scgpt canary``: try a version beside the champion, and end that."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import REFUSED, Group, json_option, reporter, show, steps_done
from .options import (
    Number,
    dry_run_option,
    pull_request_option,
    reference_options,
    resume_option,
    settings_argument,
    several,
    why_option,
)

if TYPE_CHECKING:
    from scgpt_databricks.infra.settings import Settings

    from ..release.canary import How
    from ..release.operation import Moved

UNDECIDED = 4
"""Exit code of a watch that ended without a verdict."""

_operation = several(
    settings_argument, why_option, pull_request_option, resume_option, dry_run_option, json_option
)

_margin = click.option(
    "--margin",
    type=Number(min=0, min_open=True),
    help="Worsening that is tolerated: 1 is up to twice the champion's error rate.  [default: 1]",
)
_accept_below = click.option(
    "--accept-below",
    type=Number(0, 1, min_open=True, max_open=True),
    help="Error rate that counts as none, where neither version makes errors.",
)


@click.group(cls=Group)
def canary() -> None:
    """Try a version beside the champion, on a share of the requests.

    \b
    Example:  scgpt canary start prod --version 4 --percent 10
              scgpt deploy prod
              scgpt canary watch prod
              scgpt canary promote prod
    """


@canary.command()
@_operation
@click.option("--version", type=click.IntRange(min=1), help="Default: the alias challenger.")
@click.option(
    "--percent", type=click.IntRange(1, 99), default=10, show_default=True, help="Its share."
)
@click.option(
    "--blue-green", is_flag=True, help="No share: keep it warm, replay, and switch at once."
)
@click.option("--again", is_flag=True, help="Try a version that was rolled back before.")
@click.option(
    "--requests-per-day",
    type=Number(min=0, min_open=True),
    help="Traffic to expect.  [default: that of the last week, from the inference table]",
)
def start(
    settings: Settings,
    version: int | None,
    percent: int,
    blue_green: bool,
    again: bool,
    requests_per_day: float | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Begin a canary in ENV.

    \b
    The next deploy gives it its share.
    It says first what this endpoint's traffic can find, and in how many days.
    Example:  scgpt canary start prod --version 4 --percent 10
    """
    from ..release import canary as at
    from ..release.prospects import prospects

    report = reporter()
    found = [] if blue_green else prospects(settings, percent, requests_per_day)
    for sentence in found:
        report(sentence)
    percent = 0 if blue_green else percent
    moved = at.start(settings, version, percent, again=again, how=_how(how), report=report)
    _show(moved, as_json, prospects=found)


@canary.command()
@settings_argument
@click.option(
    "--every",
    type=Number(0, 86_400, min_open=True),
    default=60,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option(
    "--for",
    "minutes",
    type=Number(min=0),
    default=60,
    show_default=True,
    help="Minutes at the most.",
)
@click.option("--once", is_flag=True, help="Look once and say how it stands.")
@reference_options
@_margin
@_accept_below
@click.option("--promote", "promote_it", is_flag=True, help="Promote a canary that has won.")
@click.option("--report-only", is_flag=True, help="Roll nothing back.")
@json_option
def watch(
    settings: Settings,
    every: float,
    minutes: float,
    once: bool,
    cells: Path | None,
    labels: str,
    margin: float | None,
    accept_below: float | None,
    promote_it: bool,
    report_only: bool,
    as_json: bool,
) -> None:
    """Watch the canary of ENV until the verdict is in.

    \b
    One that fails is rolled back at once, and keeps no request.
    Exit code 0: it won; 3: it was rolled back; 4: undecided, go on later.
    Example:  scgpt canary watch prod --for 240
    """
    from ..release.evidence import reference
    from ..release.watch import watch as run

    found = run(
        settings,
        cells=reference(cells, labels),
        rules=_rules(margin, accept_below),
        every_s=every,
        for_s=0 if once else minutes * 60,
        act=not report_only,
        promote_it=promote_it,
        report=reporter(),
    )
    text = [f"{found.decision}: {found.reason}", *found.likeness]
    then = found.moved.next if found.moved else _then(settings.environment, found.decision)
    show(asdict(found), as_json, "\n".join(text), then)
    if found.decision != "promote":
        raise SystemExit(REFUSED if found.decision == "roll back" else UNDECIDED)


@canary.command()
@settings_argument
@click.option(
    "--requests",
    "most",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="How many at the most.",
)
@click.option(
    "--hours", type=click.IntRange(1, 24 * 366), default=24, show_default=True, help="How far back."
)
@_margin
@json_option
def replay(
    settings: Settings,
    most: int,
    hours: int,
    margin: float | None,
    as_json: bool,
) -> None:
    """Send recent requests of ENV to both versions and compare.

    \b
    It changes nothing. Exit code 3: the canary should be rolled back.
    Example:  scgpt canary replay prod --requests 500
    """
    from ..release.replay import replay as run

    found = run(
        settings,
        most=most,
        hours=hours,
        rules=_rules(margin, None),
        report=reporter(),
    )
    slower = "" if found.slower is None else f"\nthe challenger takes {found.slower:.2f} x the time"
    text = f"{found.decision}: {found.reason}{slower}"
    show(asdict(found), as_json, text, _then(settings.environment, found.decision))
    if found.decision == "roll back":
        raise SystemExit(REFUSED)


@canary.command()
@_operation
@click.option("--now", is_flag=True, help="Move the requests at once, before the deploy.")
def promote(settings: Settings, now: bool, as_json: bool, **how: Any) -> None:
    """Give ENV's requests to the challenger.

    The champion before stays warm.

    Example:  scgpt canary promote prod --why "no worse in 4,000 requests"
    """
    from ..release import canary as at

    moved = at.promote(settings, how=_how(how), report=reporter(), now=now)
    _show(moved, as_json)


@canary.command()
@_operation
def abort(settings: Settings, as_json: bool, **how: Any) -> None:
    """Take all requests from ENV's challenger at once.

    \b
    The API moves the requests; then the manifest says so too. Until that is
    deployed, no deploy brings the challenger back.
    Example:  scgpt canary abort prod --why "answers look wrong"
    """
    from ..release import canary as at

    _show(at.abort(settings, how=_how(how), report=reporter()), as_json)


def _how(given: dict[str, Any]) -> How:
    from ..release.canary import How

    return How(**given)


def _rules(margin: float | None, accept_below: float | None) -> Any:
    from scgpt_databricks.model.judge.verdict import Rules

    if margin is None and accept_below is None:
        return None
    return Rules(margin=1.0 if margin is None else margin, accept_below=accept_below)


def _then(environment: str, decision: str) -> str:
    return {
        "promote": f"scgpt canary promote {environment}",
        "roll back": f"scgpt canary abort {environment}",
        "undecided": f"scgpt canary watch {environment}, or scgpt canary replay {environment}",
    }[decision]


def _show(moved: Moved, as_json: bool, **more: Any) -> None:
    show({**asdict(moved), **more}, as_json, steps_done(moved.steps), moved.next)
