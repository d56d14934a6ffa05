"""Judge a canary by a test that may be looked at after every request.

Each error is a coin: did the canary make it, or the champion? Let the canary get the share ``w`` of
the requests, and let its error rate be ``t`` times the champion's. The coin then falls on the
canary with probability ``w t / (w t + 1 - w)``. The rates themselves, and the hour of the day,
cancel out.

Roll back. Bet against "the canary is no worse", ``t0 <= 1``, with one alternative ``t > 1``. After
``c`` errors of the canary among ``n`` the stake of 1 has become ``t^c / (w t + 1 - w)^n``. It is a
fair bet, or a losing one, for every ``t0 <= 1``: one error multiplies it on average by
``(w t0 t + 1 - w) / ((w t0 + 1 - w) (w t + 1 - w))``, and numerator minus denominator is
``w (1 - w) (t0 - 1) (t - 1) <= 0``. Factors multiply, so ``w`` may change at any time, and an
average over many ``t`` is such a bet as well: a test supermartingale. Ville's inequality says that
it ever reaches ``1 / alpha`` with probability ``alpha`` at most, however often somebody looks.

Promote. The same bet against "worse by more than the margin", ``t0 >= 1 + m``, with alternatives
``t = (1 + m) / s`` for ``s > 1``: each factor is divided by its value at ``1 + m``, and the product
``(t0 - 1 - m) (t - 1 - m) <= 0`` appears in the place of the one above.

``t`` and ``s`` are averaged log-uniformly over 1.05 .. 50. Products overflow, so logs are added.
``w`` is the share that the canary got between two looks, as counted, and not the one that was asked
for. A data set stays on one version, so requests are not drawn one by one: at 10 % of data sets of
100 requests, the share that was asked for rolls 10 to 47 % of the equal canaries back. Given what
each version got, the number of the canary's errors varies less than the coin's; Hoeffding's
comparison for convex functions keeps the bound.

Sources: Lindon, Sanden, Shirikian, arXiv 2205.14762 (canaries judged while they run); Lindon and
Malek, arXiv 2011.03567 (counts whose rates vary with time). The mixture here is a grid instead of
their conjugate priors: one line, and no parameter to choose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidRequest

Decision = Literal["promote", "roll back", "undecided"]
Count = float | NDArray[np.int64]

_FACTORS = np.geomspace(1.05, 50.0, 64)
_MOST_REQUESTS = 1e9  # beyond it "not with this traffic" is the honest answer
_INFRASTRUCTURE = frozenset({401, 403, 404, 408, 429, 502, 503, 504})


@dataclass(frozen=True)
class Rules:
    """Rules of a canary, agreed before it starts.

    Parameters
    ----------
    alpha
        Probability of rolling back a canary that is no worse, and of promoting one that is worse by
        more than the margin. Each holds over the whole canary, not per look.
    margin
        Worsening that is tolerated: 1.0 tolerates up to twice the champion's error rate.
    accept_below
        Error rate that counts as none. A canary whose arms both show no error is promoted when
        its own rate is proven to lie below; None leaves that to a person.
    most_infrastructure
        Share of an arm's requests that may be lost to infrastructure; above it nothing is promoted.
    """

    alpha: float = 0.05
    margin: float = 1.0
    accept_below: float | None = None
    most_infrastructure: float = 0.05


@dataclass(frozen=True)
class Arm:
    """Requests to one of the two versions.

    Parameters
    ----------
    requests
        Answered by the version, errors included.
    errors
        Answered with an error, a refusal, or too late, as the caller counts them for both arms.
    infrastructure
        Never answered by the version: no capacity, a gateway's timeout, a lost connection. They
        are not among `requests`.
    """

    requests: int = 0
    errors: int = 0
    infrastructure: int = 0

    def __add__(self, other: Arm) -> Arm:
        return Arm(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def rate(self) -> float:
        """Error rate of the answered requests."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def lost(self) -> float:
        """Share of what was sent that infrastructure swallowed."""
        sent = self.requests + self.infrastructure
        return self.infrastructure / sent if sent else 0.0


@dataclass(frozen=True)
class Look:
    """Requests since the last look.

    Parameters
    ----------
    share
        The canary's part of them; without errors it says nothing.
    """

    share: float
    canary: Arm
    champion: Arm

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidRequest(
                "invalid_share",
                f"the canary's share is {self.share:g}; it must lie between 0 and 1. Without "
                "requests to both versions there is nothing to compare.",
            )
        for name, arm in (("canary", self.canary), ("champion", self.champion)):
            if not (0 <= arm.errors <= arm.requests and arm.infrastructure >= 0):
                raise InvalidRequest(
                    "invalid_counts",
                    f"the {name} has {arm.errors} errors in {arm.requests} requests and "
                    f"{arm.infrastructure} lost ones; counts start at 0, and errors are requests.",
                )


@dataclass(frozen=True)
class Verdict:
    """A decision, and its reason as a sentence.

    Parameters
    ----------
    missing
        Requests, of both arms together, until a decision at the present rates. None when decided,
        or when more of the same would not decide.
    worse, no_worse
        Logarithms of the two bets; each decides at ``log(1 / alpha)``.
    """

    decision: Decision
    reason: str
    missing: int | None
    worse: float
    no_worse: float


@dataclass(frozen=True)
class Canary:
    """Everything seen of a canary so far. Counts are its whole state.

    Looks may arrive in any order and any grouping; the verdict is the same.
    """

    rules: Rules = field(default_factory=Rules)
    looks: tuple[Look, ...] = ()  # one for each share, ascending

    def add(self, look: Look) -> Canary:
        """Return the canary with one more look."""
        by_share = {known.share: known for known in self.looks}
        before = by_share.get(look.share, Look(look.share, Arm(), Arm()))
        by_share[look.share] = Look(
            look.share, before.canary + look.canary, before.champion + look.champion
        )
        return Canary(self.rules, tuple(by_share[share] for share in sorted(by_share)))

    @property
    def canary(self) -> Arm:
        """All requests to the canary."""
        return sum((look.canary for look in self.looks), Arm())

    @property
    def champion(self) -> Arm:
        """All requests to the champion."""
        return sum((look.champion for look in self.looks), Arm())

    @property
    def share(self) -> float:
        """The canary's part of all requests."""
        return self.canary.requests / ((self.canary + self.champion).requests or 1)

    def verdict(self) -> Verdict:
        """Judge what was seen so far."""
        counts = [(look.share, look.canary.errors, look.champion.errors) for look in self.looks]
        worse, no_worse = map(float, evidence(counts, self.rules.margin))
        decision, reason, missing = self._decide(counts, worse, no_worse)
        return Verdict(decision, reason, missing, worse, no_worse)

    def _decide(
        self, counts: list[tuple[float, int, int]], worse: float, no_worse: float
    ) -> tuple[Decision, str, int | None]:
        canary, champion, enough = self.canary, self.champion, -math.log(self.rules.alpha)
        seen = f"canary {_rate(canary)}, champion {_rate(champion)}"
        if worse >= enough:
            return "roll back", f"The canary fails more often than the champion: {seen}.", None
        if (lost := max(canary.lost, champion.lost)) > self.rules.most_infrastructure:
            reason = (
                f"Infrastructure lost {lost:.1%} of one version's requests (tolerated are "
                f"{self.rules.most_infrastructure:.1%}), which says nothing about the version. "
                "Mend it and go on."
            )
            return "undecided", reason, None
        if no_worse >= enough:
            limit = 1 + self.rules.margin
            return "promote", f"The error rate is below {limit:g} times the old: {seen}.", None
        if not canary.errors and not champion.errors:
            return self._without_errors(canary.requests)
        missing = _missing(counts, self.share, canary.rate, champion.rate, self.rules)
        more = (
            f"about {missing:,} more requests would decide at these rates"
            if missing is not None
            else "more of the same would not decide; replay requests to both versions"
        )
        return "undecided", f"Not enough to tell: {seen}; {more}.", missing

    def _without_errors(self, n: int) -> tuple[Decision, str, int | None]:
        if not n:
            return "undecided", "The canary has answered nothing yet.", None
        bound = f"No error in {n:,} requests of the canary bounds its error rate by {_bound(n)}"
        accepted = self.rules.accept_below
        if accepted is None:
            advice = "Replay requests that fail, set accept_below, or let a person decide."
            return "undecided", f"{bound}. That is no comparison. {advice}", None
        if (needed := math.ceil(3 / accepted)) <= n:
            return "promote", f"{bound}; accepted is {accepted:.2%}.", None
        missing = math.ceil((needed - n) / self.share)
        more = f"which takes about {missing:,} more requests"
        return "undecided", f"{bound}; accepted is {accepted:.2%}, {more}.", missing

    def to_dict(self) -> dict[str, Any]:
        """Return the state, ready for JSON."""
        return {
            "rules": vars(self.rules).copy(),
            "looks": [
                {"share": look.share, "canary": vars(look.canary), "champion": vars(look.champion)}
                for look in self.looks
            ],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the canary whose state was saved."""
        looks = (
            Look(each["share"], Arm(**each["canary"]), Arm(**each["champion"]))
            for each in state["looks"]
        )
        return cls(Rules(**state["rules"]), tuple(looks))


@dataclass(frozen=True)
class Replay:
    """The same requests, sent to both versions. Only pairs that disagree say anything.

    A pair that disagrees is the coin above at ``w = 1/2``. If the canary's error rate is at least
    ``1 + m`` times the champion's, so is the ratio of the disagreeing pairs: both tests hold.
    """

    pairs: int
    only_canary_failed: int
    only_champion_failed: int
    infrastructure: int = 0
    rules: Rules = field(default_factory=Rules)

    def verdict(self) -> Verdict:
        """Judge the pairs, each of which both versions answered."""
        apart = self.only_canary_failed + self.only_champion_failed
        if not 0 <= apart <= self.pairs:
            raise InvalidRequest(
                "invalid_counts", f"{apart} of {self.pairs} pairs disagree; count each pair once."
            )
        if self.pairs and not apart:
            reason = (
                f"{self.pairs:,} pairs agree: the canary fails alone in {_bound(self.pairs)} of "
                "the requests. That is no comparison of how often they fail."
            )
            return Verdict("undecided", reason, None, 0.0, 0.0)
        look = Look(
            0.5,
            Arm(self.pairs, self.only_canary_failed, self.infrastructure),
            Arm(self.pairs, self.only_champion_failed, self.infrastructure),
        )
        return Canary(self.rules).add(look).verdict()


def evidence(
    counts: Iterable[tuple[float, Count, Count]], margin: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the logarithms of the two bets, "worse" and "no worse by more than the margin".

    Parameters
    ----------
    counts
        ``(share, errors of the canary, errors of the champion)`` for each share of the traffic.
        Errors may be arrays, one number for each point in time.
    """
    limit = 1 + margin
    logs = [
        (
            _bet(share, canary, champion, _FACTORS, 1.0),
            _bet(share, canary, champion, limit / _FACTORS, limit),
        )
        for share, canary, champion in counts
    ]
    worse, no_worse = np.sum(logs, axis=0) if logs else np.zeros((2, len(_FACTORS)))
    return _mean_of_logs(worse), _mean_of_logs(no_worse)


def is_infrastructure(status: int | None) -> bool:
    """Tell whether an HTTP status (None: no answer) came from around the version, not from it."""
    return status is None or status in _INFRASTRUCTURE


def dealt(canary: Arm, champion: Arm, drawn: float) -> float | None:
    """Return the share of the requests that the canary got; None while errors have no other side.

    It is not the share that was drawn: a data set stays on one version, and a replay asks both.
    Without errors the share says nothing, and the drawn one keeps the looks few.
    """
    if not canary.errors and not champion.errors:
        return drawn
    share = canary.requests / (canary.requests + champion.requests)
    return share if 0 < share < 1 else None


def _bet(
    share: float, canary: Count, champion: Count, t: NDArray[np.float64], null: float
) -> NDArray[np.float64]:
    """Return the logarithm of the stake for each alternative in `t`: its last axis."""
    per_error = np.log((share * null + 1 - share) / (share * t + 1 - share))
    return np.multiply.outer(canary, np.log(t / null)) + np.multiply.outer(
        np.add(canary, champion), per_error
    )


def _mean_of_logs(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    most = logs.max(axis=-1, keepdims=True)
    return np.asarray(most[..., 0] + np.log(np.exp(logs - most).mean(axis=-1)))


def _missing(
    counts: list[tuple[float, int, int]], share: float, canary: float, champion: float, rules: Rules
) -> int | None:
    """Return the requests until a bet reaches its goal along the expected counts."""

    def decided(n: float) -> bool:
        ahead = (share, n * share * canary, n * (1 - share) * champion)
        return bool(max(evidence([*counts, ahead], rules.margin)) >= -math.log(rules.alpha))

    enough = 1.0
    while not decided(enough):
        enough *= 2
        if enough > _MOST_REQUESTS:
            return None
    low, high = math.floor(enough / 2), math.ceil(enough)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def _rate(arm: Arm) -> str:
    return f"{arm.errors:,} of {arm.requests:,} ({arm.rate:.2%})"


def _bound(n: int) -> str:
    return f"less than {min(1.0, 3 / n):.2%} (3/n, at 95 %)"
