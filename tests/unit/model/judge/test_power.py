"""Simulated canaries: false alarms, what is found, and what that means for an endpoint."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.judge.power import power, simulate
from scgpt_databricks.model.judge.verdict import Arm, Canary, Look, Rules


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_at_most_alpha_of_equal_canaries_is_ever_rolled_back(share: float) -> None:
    runs = simulate(share, 0.01, 0.01, 20_000)
    assert np.mean(runs.worse < np.inf) <= 0.05


def test_at_most_alpha_of_canaries_at_the_margin_is_ever_promoted() -> None:
    runs = simulate(0.5, 0.01, 0.015, 20_000, rules=Rules(margin=0.5, alpha=0.1))
    assert np.mean(runs.no_worse < np.inf) <= 0.1


def test_five_percent_against_one_is_found_in_every_run() -> None:
    runs = simulate(0.1, 0.01, 0.05, 20_000)
    assert runs.rolled_back == 1
    assert runs.median < 1000


def test_the_simulation_is_the_verdict_looked_at_after_every_request() -> None:
    """The same canaries, request by request through `Canary`: the same median."""
    rng, found = np.random.default_rng(1), []
    for _ in range(60):
        canary, n, decided = Canary(), 0, False
        while not decided:
            n += 1
            ours = rng.random() < 0.5
            arm = Arm(1, int(rng.random() < (0.4 if ours else 0.05)))
            canary = canary.add(Look(0.5, arm if ours else Arm(), Arm() if ours else arm))
            decided = bool(arm.errors) and canary.verdict().decision != "undecided"
        found.append(n)
    assert simulate(0.5, 0.05, 0.4, 5_000).median == pytest.approx(np.median(found), rel=0.25)


def test_equal_seeds_give_equal_runs() -> None:
    one, other, third = (simulate(0.1, 0.05, 0.2, 500, runs=20, seed=seed) for seed in (3, 3, 4))
    assert (one.worse == other.worse).all()
    assert (one.worse != third.worse).any()


def test_no_errors_no_decision() -> None:
    runs = simulate(0.1, 0.0, 0.0, 1000, runs=5)
    assert (runs.rolled_back, runs.promoted, runs.median) == (0, 0, math.inf)


def test_power_says_what_an_endpoints_traffic_finds() -> None:
    five, twenty = power(0.1, 40, 0.01, ratios=(5, 20))
    assert five.days is not None
    assert 20 <= five.days <= 28
    assert f"half are decided within {five.days} days" in five.sentence
    assert twenty.rolled_back > 0.99


def test_power_says_when_traffic_is_too_low() -> None:
    (found,) = power(0.01, 40, 0.01, ratios=(2,), within_days=30)
    assert found.days is None
    assert "most stay undecided for 30 days" in found.sentence


def test_power_refuses_a_share_that_compares_nothing() -> None:
    with pytest.raises(InvalidRequest):
        power(1.0, 40, 0.01)
