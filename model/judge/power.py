"""Say before a canary starts what it can find with the endpoint's traffic.

Simulates canaries with fixed seeds, as many as the answer needs, with the very test of ``verdict``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .verdict import Arm, Look, Rules, evidence

RUNS = 400
_MOST_ERRORS = 2_000  # of one run: bounds time and memory on an endpoint with much traffic


@dataclass(frozen=True)
class Runs:
    """Simulated canaries; one entry for each run.

    Parameters
    ----------
    worse, no_worse
        Requests after which the bet reached its goal; infinite where it never did.
    """

    worse: NDArray[np.float64]
    no_worse: NDArray[np.float64]

    @property
    def rolled_back(self) -> float:
        """Share of the runs that ended in a rollback."""
        return float(np.mean((self.worse < np.inf) & (self.worse <= self.no_worse)))

    @property
    def promoted(self) -> float:
        """Share of the runs that ended in a promotion."""
        return float(np.mean(self.no_worse < self.worse))

    @property
    def median(self) -> float:
        """Requests after which half of all runs were decided; infinite if fewer ever were."""
        return float(np.quantile(np.minimum(self.worse, self.no_worse), 0.5, method="higher"))


def simulate(
    share: float,
    champion: float,
    canary: float,
    requests: int,
    *,
    rules: Rules | None = None,
    runs: int = RUNS,
    seed: int = 0,
) -> Runs:
    """Run canaries up to a number of requests, judged after each of them.

    Between two errors nothing changes for the test, so only errors are drawn: the requests up to
    the next one, and which version made it.

    Parameters
    ----------
    share
        The canary's share of the requests.
    champion, canary
        Error rates.
    requests
        Requests of one run, to both versions together.
    """
    Look(share, Arm(), Arm())  # refuses a share that compares nothing
    rules, rng = rules or Rules(), np.random.default_rng(seed)
    rate = share * canary + (1 - share) * champion
    worse, no_worse = np.full((2, runs), np.inf)
    if not rate:
        return Runs(worse, no_worse)
    goal = -math.log(rules.alpha)
    errors = min(_MOST_ERRORS, 20 + math.ceil(2 * requests * rate))
    for run in range(runs):
        at = rng.geometric(rate, errors).cumsum()
        is_canary = (rng.random(errors) < share * canary / rate)[at <= requests]
        at = at[at <= requests]
        of_canary = is_canary.cumsum()
        bets = evidence([(share, of_canary, np.arange(1, len(at) + 1) - of_canary)], rules.margin)
        for reached, bet in zip((worse, no_worse), bets, strict=True):
            if (crossed := bet >= goal).any():
                reached[run] = at[crossed.argmax()]
    return Runs(worse, no_worse)


@dataclass(frozen=True)
class Power:
    """The likely end of a canary with one true difference, within the days that were asked about.

    Parameters
    ----------
    ratio
        How many times higher the canary's error rate is than the champion's.
    rolled_back, promoted
        Shares of the simulated runs; the rest stays undecided.
    days
        Days until half of the runs are decided; None if fewer ever are.
    sentence
        The same for people.
    """

    ratio: float
    rolled_back: float
    promoted: float
    days: int | None
    sentence: str


def power(
    share: float,
    requests_per_day: float,
    error_rate: float,
    *,
    ratios: Iterable[float] = (1, 2, 5, 20),
    within_days: int = 90,
    rules: Rules | None = None,
) -> list[Power]:
    """Return how canaries would end, for several true differences.

    Parameters
    ----------
    share
        The canary's share of the traffic.
    requests_per_day
        Traffic of the endpoint.
    error_rate
        The champion's error rate.
    ratios
        How many times higher the canary's may be; 1: it is as good.
    within_days
        Patience.
    """
    found = []
    for ratio in ratios:
        requests = math.ceil(requests_per_day * within_days)
        runs = simulate(share, error_rate, min(1.0, error_rate * ratio), requests, rules=rules)
        days = None if math.isinf(runs.median) else math.ceil(runs.median / requests_per_day)
        subject = f"{ratio:g} times the error rate" if ratio != 1 else "the same error rate"
        end = (
            f"half are decided within {days} days"
            if days is not None
            else f"most stay undecided for {within_days} days"
        )
        sentence = (
            f"{requests_per_day:,.0f} requests a day, {share:.0%} to the canary, {subject} "
            f"({error_rate:.1%} before): {end}; {runs.rolled_back:.0%} are rolled back, "
            f"{runs.promoted:.0%} promoted."
        )
        found.append(Power(ratio, runs.rolled_back, runs.promoted, days, sentence))
    return found
