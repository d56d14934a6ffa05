"""Refusals that an environment has waived, with a reason, until a date."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from ..settings import Settings
from .findings import CHECKS, Finding


def waive(finding: Finding, settings: Settings | None, today: date) -> Finding:
    """The finding, as a warning where the environment waives it; an expired waiver is told."""
    if settings is None or finding.severity != "refuse":
        return finding
    if waiver := settings.waiver(finding.check, today):
        said = f"{waiver.reason} (until {waiver.until})"
        return replace(finding, severity="warn", waived=said)
    for waiver in settings.waivers:
        if waiver.check == finding.check:
            expired = f"The waiver ({waiver.reason}) expired on {waiver.until}."
            return replace(finding, remedy=f"{finding.remedy} {expired}")
    return finding


def on_waivers(settings: Settings, today: date) -> Iterator[Finding]:
    """Waivers that do nothing: their date has passed, or there is no such check."""
    for index, waiver in enumerate(settings.waivers):
        address = f"{settings.environment}.toml: waivers.{index}"
        if waiver.check not in CHECKS:
            close = difflib.get_close_matches(waiver.check, CHECKS, n=1)
            yield Finding(
                "waiver-unknown",
                address,
                f"waives {waiver.check!r}, which is no check",
                f"Did you mean {close[0]!r}?"
                if close
                else f"There are: {', '.join(sorted(CHECKS))}.",
                "warn",
            )
        elif waiver.until < today:
            yield Finding(
                "waiver-expired",
                address,
                f"the waiver of {waiver.check} ({waiver.reason}) expired on {waiver.until}",
                "Remove it, or renew it in a reviewed change.",
                "warn",
            )


def refusals(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that stop what was asked."""
    return [finding for finding in findings if finding.severity == "refuse"]
