"""Each cause of drift is found under its own name, and new donors of one mixture are none."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from benchmarks.donors import donors
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.judge import drift
from scgpt_databricks.model.judge.drift import (
    COMPOSITION,
    EMBEDDING,
    INPUT,
    Finding,
    Reference,
    find_drift,
    kernel_sums,
    make_reference,
)

WEEK = 0.05 * 7 / 365


@pytest.fixture(scope="module")
def reference() -> Reference:
    return make_reference(donors(np.random.default_rng(1), 16), 8)


def look(reference: Reference, many: int = 12, seed: int = 2, **other: Any) -> dict[str, Finding]:
    found = find_drift(reference, donors(np.random.default_rng(seed), many, **other), alpha=WEEK)
    return {each.cause: each for each in found}


def alarms(found: dict[str, Finding]) -> dict[str, str]:
    return {cause: each.finding for cause, each in found.items() if each.alarm}


@pytest.mark.parametrize("seed", range(2, 12))
def test_new_donors_of_one_mixture_raise_no_alarm(reference: Reference, seed: int) -> None:
    found = look(reference, seed=seed)
    assert not alarms(found)
    assert all(each.p_value is not None and not each.note for each in found.values())


SHIFTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "mixture": ({"mixture": (0.1, 0.25, 0.15, 0.12, 0.38)}, {COMPOSITION: "mixture of cells"}),
    "model": ({"moved": 0.3}, {EMBEDDING: "embeddings moved"}),
    "panel": ({"lost": 0.4, "moved": 0.2, "deeper": -0.4}, {INPUT: "genes are lost"}),
    "normalised": ({"whole": 0.0}, {INPUT: "counts are already normalised"}),
    "depth": ({"deeper": 0.7}, {INPUT: "library size"}),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_each_cause_has_its_own_name(reference: Reference, name: str) -> None:
    shift, expected = SHIFTS[name]
    assert alarms(look(reference, **shift)) == expected


def test_cells_far_from_every_neighbourhood_are_a_changed_model(reference: Reference) -> None:
    """Another network puts cells where none of the reference's are: that is no other mixture."""
    found = look(reference, moved=20.0)
    assert alarms(found) == {EMBEDDING: "embeddings moved"}
    assert found[COMPOSITION].p_value is None
    assert "the embeddings moved" in found[COMPOSITION].note


def test_cells_in_other_neighbourhoods_are_of_no_other_size(reference: Reference) -> None:
    """A model that puts all cells where one kind was changes sizes there, not those of all."""
    sample = donors(np.random.default_rng(2), 12)
    assert sample.embeddings is not None
    first = donors(np.random.default_rng(3), 12, mixture=(0.96, 0.01, 0.01, 0.01, 0.01))
    found = find_drift(
        reference, dataclasses.replace(sample, embeddings=first.embeddings), alpha=WEEK
    )
    assert INPUT not in alarms({each.cause: each for each in found})


def test_what_follows_from_the_input_says_so(reference: Reference) -> None:
    found = look(reference, lost=0.4, moved=0.2)
    assert not found[EMBEDDING].alarm
    assert found[EMBEDDING].note == "may follow from the input: genes are lost"


def test_a_sure_but_small_shift_raises_no_alarm(reference: Reference) -> None:
    found = look(reference, moved=0.1)[EMBEDDING]
    assert found.p_value is not None
    assert found.effect is not None
    assert found.p_value < found.threshold
    assert 0 < found.effect < drift.LEAST[drift.MOVED]
    assert not found.alarm


def test_a_mixture_changes_neither_sizes_nor_embeddings(reference: Reference) -> None:
    """The kinds differ in library size, so that all cells together are of another size."""
    found = look(reference, mixture=(0.05, 0.1, 0.1, 0.65, 0.1))
    assert alarms(found) == {COMPOSITION: "mixture of cells"}


@pytest.mark.parametrize(("many", "cells"), [(0, 100), (5, 100), (12, 10)])
def test_too_few_data_sets_say_so_and_give_no_number(
    reference: Reference, many: int, cells: int
) -> None:
    sample = donors(np.random.default_rng(3), max(many, 1), cells=cells)
    for found in find_drift(reference, sample, alpha=WEEK):
        assert (found.p_value, found.effect, found.alarm) == (None, None, False)
        assert f"the window has {many if cells >= 20 else 0} data sets" in found.note or not many


def test_a_look_that_may_take_nothing_says_so(reference: Reference) -> None:
    """Two looks within seconds share what time gave them."""
    sample = donors(np.random.default_rng(3), 8, whole=0.0)
    for found in find_drift(reference, sample, alpha=1e-9):
        assert not found.alarm
        assert "look less often" in found.note


def test_without_embeddings_the_input_is_judged_and_the_rest_says_why(reference: Reference) -> None:
    sample = donors(np.random.default_rng(3), 12, whole=0.0)
    bare = dataclasses.replace(sample, embeddings=None)
    found = {each.cause: each for each in find_drift(reference, bare, alpha=WEEK)}
    assert alarms(found) == {INPUT: "counts are already normalised"}
    for cause in (COMPOSITION, EMBEDDING):
        assert found[cause].p_value is None
        assert "float16" in found[cause].note


def test_requests_that_were_not_logged_are_no_evidence(reference: Reference) -> None:
    sample = donors(np.random.default_rng(3), 12)
    nothing, cells = np.full(12, np.nan), np.full(1200, np.nan)
    bare = dataclasses.replace(sample, whole=nothing, lost=nothing, sizes=cells, known=cells)
    found = {each.cause: each for each in find_drift(reference, bare, alpha=WEEK)}
    assert found[INPUT].note == "no requests were logged"
    assert found[COMPOSITION].p_value is not None


def test_the_same_cells_give_the_same_answer(reference: Reference) -> None:
    assert look(reference) == look(reference)


def test_the_kernel_is_summed_up_by_data_set() -> None:
    rng = np.random.default_rng(0)
    cells, of = rng.normal(size=(2_500, 6)).astype(np.float32), np.sort(rng.integers(0, 9, 2_500))
    of[of == 4] = 5  # a data set without cells
    found = kernel_sums(cells, of, 9, 0.3)
    apart = ((cells[:, None, :3] - cells[None, :, :3]) ** 2).sum(-1)
    apart += ((cells[:, None, 3:] - cells[None, :, 3:]) ** 2).sum(-1)
    member = np.eye(9)[of]
    expected = member.T @ np.exp(-0.3 * apart) @ member
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_the_width_of_the_kernel_is_the_references_alone() -> None:
    sample = donors(np.random.default_rng(1), 16)
    made = make_reference(sample, 8)
    assert sample.embeddings is not None
    some = sample.embeddings[:1000]
    apart = ((some[:, None] - some[None]) ** 2).sum(-1)[np.triu_indices(1000, 1)]
    assert math.isclose(made.gamma, 1 / np.median(apart), rel_tol=0.02)


def test_a_reference_of_few_cells_or_none_is_refused() -> None:
    sample = donors(np.random.default_rng(1), 1, cells=10)
    with pytest.raises(InvalidRequest, match="20 or more"):
        make_reference(sample, 8)
    with pytest.raises(InvalidRequest, match="needs embeddings"):
        make_reference(dataclasses.replace(sample, embeddings=None), 8)
