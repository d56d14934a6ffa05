"""The sequential test of a canary: what it decides, and that it keeps its promises."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.judge.verdict import (
    Arm,
    Canary,
    Look,
    Replay,
    Rules,
    evidence,
    is_infrastructure,
)

counts = st.integers(0, 500)
arms = st.tuples(counts, counts, st.integers(0, 5)).map(lambda x: Arm(x[0] + x[1], x[1], x[2]))
looks = st.builds(Look, st.sampled_from([0.05, 0.1, 0.5]), arms, arms)


def seen(share: float, canary: Arm, champion: Arm, **rules: Any) -> Canary:
    return Canary(Rules(**rules)).add(Look(share, canary, champion))


def test_a_worse_canary_is_rolled_back_with_its_numbers() -> None:
    verdict = seen(0.1, Arm(200, 12), Arm(1800, 18)).verdict()
    assert (verdict.decision, verdict.missing) == ("roll back", None)
    assert "12 of 200 (6.00%)" in verdict.reason
    assert "18 of 1,800 (1.00%)" in verdict.reason


def test_an_equal_canary_is_promoted_after_enough_errors() -> None:
    assert seen(0.5, Arm(1000, 10), Arm(1000, 10)).verdict().decision == "undecided"
    verdict = seen(0.5, Arm(9000, 90), Arm(9000, 90)).verdict()
    assert verdict.decision == "promote"
    assert "below 2 times" in verdict.reason


def test_undecided_says_how_many_requests_are_missing() -> None:
    few = seen(0.1, Arm(1000, 20), Arm(9000, 80))
    missing = few.verdict().missing
    assert missing is not None
    assert f"{missing:,} more requests" in few.verdict().reason

    def after(requests: float) -> str:
        canary, champion = round(requests * 0.1), round(requests * 0.9)
        more = Look(
            0.1,
            Arm(canary, round(canary * 0.02)),
            Arm(champion, round(champion * 80 / 9000)),
        )
        return few.add(more).verdict().decision

    assert after(missing * 0.7) == "undecided"
    assert after(missing * 1.3) == "roll back"


def test_the_bet_on_one_alternative_is_the_formula_of_the_docstring() -> None:
    c, b, w = 3, 4, 0.1
    factors = np.geomspace(1.05, 50, 64)
    direct = np.mean(factors**c / (w * factors + 1 - w) ** (c + b))
    assert evidence([(w, c, b)], 1.0)[0] == pytest.approx(math.log(direct))


@pytest.mark.parametrize("t0", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("w", [0.01, 0.1, 0.5, 0.9])
def test_no_bet_gains_on_average_under_its_null(w: float, t0: float) -> None:
    def expected(true: float, which: int, margin: float) -> float:
        p = w * true / (w * true + 1 - w)
        ours, theirs = (evidence([(w, *x)], margin)[which] for x in ((1, 0), (0, 1)))
        return float(p * np.exp(ours) + (1 - p) * np.exp(theirs))

    assert expected(t0, 0, 0.5) <= 1 + 1e-12
    assert expected(1.5 / t0, 1, 0.5) <= 1 + 1e-12
    assert expected(4.0, 0, 0.5) > 1
    assert expected(0.4, 1, 0.5) > 1


def test_thousands_of_errors_do_not_overflow() -> None:
    verdict = seen(0.5, Arm(10**7, 10**6), Arm(10**7, 10**5)).verdict()
    assert verdict.decision == "roll back"
    assert math.isfinite(verdict.worse)
    assert math.isfinite(verdict.no_worse)


def test_infrastructure_is_undecided_and_never_promotes() -> None:
    verdict = seen(0.5, Arm(9000, 90, 1000), Arm(9000, 90)).verdict()
    assert verdict.decision == "undecided"
    assert "Infrastructure lost 10.0%" in verdict.reason
    assert seen(0.5, Arm(0, 0, 40), Arm(40, 0)).verdict().decision == "undecided"


def test_infrastructure_does_not_hide_a_broken_canary() -> None:
    assert seen(0.5, Arm(100, 60, 100), Arm(100, 1)).verdict().decision == "roll back"


def test_no_error_at_all_is_no_proof_and_states_the_bound() -> None:
    verdict = seen(0.1, Arm(300), Arm(2700)).verdict()
    assert (verdict.decision, verdict.missing) == ("undecided", None)
    assert "less than 1.00% (3/n" in verdict.reason


def test_an_accepted_rate_turns_the_bound_into_a_verdict() -> None:
    assert seen(0.1, Arm(300), Arm(2700), accept_below=0.01).verdict().decision == "promote"
    verdict = seen(0.1, Arm(200), Arm(1800), accept_below=0.01).verdict()
    assert (verdict.decision, verdict.missing) == ("undecided", 1000)
    # One error in either arm, and the comparison counts again.
    assert seen(0.1, Arm(300), Arm(2700, 1), accept_below=0.01).verdict().decision == "undecided"


def test_nothing_answered_yet() -> None:
    assert Canary().verdict().decision == "undecided"
    assert "nothing yet" in Canary().verdict().reason


@given(st.lists(looks, max_size=6), st.randoms())
def test_order_and_grouping_of_looks_do_not_matter(every: list[Look], random: Any) -> None:
    one, other = Canary(), Canary()
    for look in every:
        one = one.add(look)
    for look in random.sample(every, len(every)):
        half = Arm(look.canary.requests // 2, look.canary.errors // 2)
        rest = Arm(
            look.canary.requests - half.requests,
            look.canary.errors - half.errors,
            look.canary.infrastructure,
        )
        if rest.errors > rest.requests:
            half, rest = Arm(), look.canary
        other = other.add(Look(look.share, rest, look.champion))
        other = other.add(Look(look.share, half, Arm()))
    assert one == other
    assert one.verdict() == other.verdict()


@given(st.lists(looks, max_size=4), st.lists(looks, max_size=4))
def test_a_saved_canary_goes_on_where_it_stopped(before: list[Look], after: list[Look]) -> None:
    canary = Canary(Rules(alpha=0.01, accept_below=0.002))
    for look in before:
        canary = canary.add(look)
    resumed = Canary.from_dict(json.loads(json.dumps(canary.to_dict())))
    assert resumed == canary
    for look in after:
        canary, resumed = canary.add(look), resumed.add(look)
    assert resumed.verdict() == canary.verdict()


@given(looks)
def test_one_more_error_of_the_canary_never_speaks_for_it(look: Look) -> None:
    before = Canary().add(look).verdict()
    after = Canary().add(look).add(Look(look.share, Arm(1, 1), Arm())).verdict()
    assert after.worse > before.worse
    assert after.no_worse < before.no_worse


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_share_that_compares_nothing_is_refused(share: float) -> None:
    with pytest.raises(InvalidRequest, match="between 0 and 1"):
        Look(share, Arm(), Arm())


@pytest.mark.parametrize("arm", [Arm(1, 2), Arm(1, -1), Arm(1, 0, -1)])
def test_impossible_counts_are_refused(arm: Arm) -> None:
    with pytest.raises(InvalidRequest, match="counts start at 0"):
        Look(0.5, arm, Arm())


class TestReplay:
    def test_only_pairs_that_disagree_count(self) -> None:
        assert Replay(60, 12, 0).verdict().decision == "roll back"
        assert Replay(60, 12, 0).verdict().worse == Replay(6000, 12, 0).verdict().worse

    def test_pairs_that_all_agree_state_the_bound(self) -> None:
        verdict = Replay(150, 0, 0).verdict()
        assert verdict.decision == "undecided"
        assert "less than 2.00%" in verdict.reason

    def test_more_disagreements_than_pairs_are_refused(self) -> None:
        with pytest.raises(InvalidRequest, match="3 of 2 pairs"):
            Replay(2, 2, 1).verdict()


@pytest.mark.parametrize(
    ("status", "around"),
    [(None, True), (429, True), (503, True), (504, True), (500, False), (400, False), (200, False)],
)
def test_a_status_comes_from_the_version_or_from_around_it(status: Any, around: bool) -> None:
    assert is_infrastructure(status) is around
