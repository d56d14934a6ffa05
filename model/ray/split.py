"""Two versions behind one name: a canary or an A/B test, judged as canaries on Databricks are."""

from __future__ import annotations

import hashlib
import random
from dataclasses import astuple
from typing import Any

from ..judge.verdict import Arm, Canary, Look, Rules, dealt, is_infrastructure
from .settings import Split

_OF_64_BITS = 2**64


def falls_on_second(split: Split, sticky: str | None) -> bool:
    """Draw the version of a request; equal values of the sticky header draw the same.

    Parameters
    ----------
    sticky
        Value of the header; None: drawn at random.
    """
    if sticky is None:
        return random.random() < split.weight  # noqa: S311 - a share of requests, no secret
    digest = hashlib.sha256(f"{split.version}\0{sticky}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _OF_64_BITS < split.weight


def counted(status: int, code: str) -> Arm:
    """Return one request as the verdict counts it; a refusal (status below 500) is no error.

    Parameters
    ----------
    code
        Of the refusal. A version that does not load, or dies, is at fault itself.
    """
    if code not in ("load_failed", "process_ended") and is_infrastructure(status):
        return Arm(infrastructure=1)
    return Arm(requests=1, errors=int(status >= 500))


class Tally:
    """Counts of both versions over all replicas, and the verdict; a Ray actor holds it."""

    def __init__(self, split: dict[str, Any]) -> None:
        self._split = Split(**split)
        rules = Rules(alpha=self._split.alpha, margin=self._split.margin)
        self._canary = Canary(rules)
        self._second, self._first = Arm(), Arm()  # not looked at yet

    def add(self, second: tuple[int, int, int], first: tuple[int, int, int]) -> dict[str, Any]:
        """Add requests to the second and to the first version, and return the verdict.

        Parameters
        ----------
        second, first
            Requests, errors, infrastructure, as in ``Arm``.
        """
        self._second, self._first = self._second + Arm(*second), self._first + Arm(*first)
        share = dealt(self._second, self._first, self._split.weight)
        if share is not None:
            self._canary = self._canary.add(Look(share, self._second, self._first))
            self._second, self._first = Arm(), Arm()
        return self.verdict()

    def verdict(self) -> dict[str, Any]:
        """Return the decision, its reason, and the counts."""
        found = self._canary.verdict()
        return {
            "decision": found.decision,
            "reason": found.reason,
            "missing": found.missing,
            "weight": self._split.weight,
            "canary": vars(self._canary.canary),
            "champion": vars(self._canary.champion),
        }


class Pending:
    """Requests of one replica that the tally has not yet been told."""

    def __init__(self) -> None:
        self.second, self.first = Arm(), Arm()

    def add(self, *, second: bool, arm: Arm) -> None:
        """Count a request."""
        if second:
            self.second += arm
        else:
            self.first += arm

    def take(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Return what was counted, and begin again; None where nothing was."""
        found = astuple(self.second), astuple(self.first)
        self.second, self.first = Arm(), Arm()
        return found if any(map(any, found)) else None
