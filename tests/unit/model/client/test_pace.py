"""Requests side by side, at the pace that answers allow."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scgpt_databricks.model.client.pace import Pace, in_order


def settle(pace: Pace, servers: int, answers: int = 60) -> int:
    """Let an endpoint that answers so many at a time answer at the pace's limit."""
    for _ in range(answers):
        pace.answered(max(1.0, int(pace.limit) / servers), 1)
    return int(pace.limit)


@pytest.mark.parametrize(("servers", "at_least", "at_most"), [(1, 2, 3), (4, 4, 12), (64, 16, 16)])
def test_it_finds_how_many_an_endpoint_answers(servers: int, at_least: int, at_most: int) -> None:
    assert at_least <= settle(Pace(16), servers) <= at_most


def test_it_begins_with_one_and_doubles() -> None:
    pace, seen = Pace(16), []
    for _ in range(7):
        seen.append(int(pace.limit))
        pace.answered(1, 1)
    assert seen == [1, 2, 3, 4, 5, 6, 7]  # one more with each answer: twice as many each round


def test_a_full_endpoint_halves_it_and_it_comes_back_slowly() -> None:
    pace = Pace(16)
    settle(pace, 64)
    pace.refused()
    assert pace.limit == 8
    pace.answered(1, 1)
    assert pace.limit == 8 + 1 / 8
    for _ in range(9):
        pace.refused()
    assert pace.limit == 1


def test_answers_about_larger_requests_may_take_longer() -> None:
    pace = Pace(16)
    for work in (10, 1000, 20, 0, 500):
        pace.answered(work / 100, work)
    assert pace.limit == 5, "an answer about nothing says nothing"


def test_no_more_than_the_limit_are_under_way() -> None:
    pace, active, most = Pace(8), 0, 0
    lock, enough = threading.Lock(), threading.Barrier(3)
    pace.limit = 3

    def do(number: int) -> int:
        nonlocal active, most
        with pace.turn():
            with lock:
                active += 1
                most = max(most, active)
            if number < 3:
                enough.wait(60)  # none of the first three gets on before the others are here
            with lock:
                active -= 1
        return number

    assert list(in_order(range(30), do, 8, lambda: None)) == list(range(30))
    assert most == 3


def test_an_error_comes_at_its_turn_and_ends_the_rest() -> None:
    stopped, made = threading.Event(), []

    def jobs() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    def do(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        if number > 5:
            stopped.wait(10)
        return number

    found = in_order(jobs(), do, 4, stopped.set)
    assert [next(found) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(found)
    assert stopped.is_set()
    assert len(made) < 20
