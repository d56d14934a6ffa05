"""Gates: each fails for its own reason, and all are reported at once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.judge.gates import GATES, Evidence, Limits, Version, may_go_on, report
from scgpt_databricks.model.judge.likeness import Likeness
from scgpt_databricks.model.judge.metrics import Score


def signature(*names: str) -> dict[str, Any]:
    columns = [{"name": name, "type": "string", "required": True} for name in names]
    return {"inputs": json.dumps(columns), "outputs": None, "params": None}


def version(number: int, **changes: Any) -> Version:
    metrics = {"knn_accuracy": Score(0.78, 0.75, 0.81), "ari": Score(0.4, 0.35, 0.45)}
    return replace(Version(f"version {number}", signature("packed"), metrics, 20e-6), **changes)


GOOD = Evidence(
    candidate=version(7),
    champion=version(6),
    validated=True,
    smoke_error="",
    likeness=Likeness(True, 0.99, 0.9999, None, ("cosine: 0.9999.",)),
    lost_genes=(),
    licence="MIT",
    provenance="https://example.org/checkpoint",
    approved_by="ada",
)


def state_of(evidence: Evidence, limits: Limits | None = None) -> dict[str, tuple[str, str]]:
    return {gate.name: (gate.state, gate.sentence) for gate in report(evidence, limits=limits)}


def test_a_good_version_passes_every_gate() -> None:
    gates = report(GOOD)
    assert [gate.name for gate in gates] == list(GATES)
    assert {gate.state for gate in gates} == {"passed"}
    assert may_go_on(gates)


def test_a_vocabulary_that_lost_genes_is_refused_with_their_names() -> None:
    lost = replace(GOOD, lost_genes={f"GENE{number}" for number in range(1200)})
    state, sentence = state_of(lost)["vocabulary"]
    assert state == "failed"
    assert sentence.startswith("It lacks 1,200 genes that the champion knows (GENE0, GENE1, ")


def test_an_equal_version_is_never_worse() -> None:
    """Mutual information of resampled cells lies above that of the cells themselves."""
    same = {"nmi": Score(0.1699, 0.1739, 0.2205)}
    both = replace(GOOD, candidate=version(7, metrics=same), champion=version(6, metrics=same))
    assert state_of(both)["metrics"][0] == "passed"


def test_nothing_known_fails_everything_at_once() -> None:
    empty = replace(version(7), metrics={}, seconds_per_token=None, signature=signature("other"))
    gates = report(Evidence(candidate=empty, champion=version(6)))
    assert {gate.state for gate in gates} == {"failed"}
    assert len(gates) == 9
    assert not may_go_on(gates)


WORSE = {"knn_accuracy": Score(0.74, 0.7, 0.78), "ari": Score(0.4, 0.35, 0.45)}
CASES: list[tuple[str, Evidence, str]] = [
    ("validated", replace(GOOD, validated=False), "build it again"),
    (
        "metrics",
        replace(GOOD, candidate=version(7, metrics=WORSE)),
        "knn_accuracy 0.7400, was 0.7800 (0.7500 to 0.8100)",
    ),
    ("metrics", replace(GOOD, champion=version(6, metrics={})), "The champion has no metrics"),
    (
        "metrics",
        replace(GOOD, candidate=version(7, metrics={"ari": WORSE["ari"]})),
        "Not measured: knn_accuracy",
    ),
    (
        "signature",
        replace(GOOD, candidate=version(7, signature=signature("cells"))),
        "input packed: packed was removed",
    ),
    ("payload", replace(GOOD, smoke_error=None), "was not sent"),
    ("payload", replace(GOOD, smoke_error="[no_known_gene] none"), "refused: [no_known_gene]"),
    ("latency", replace(GOOD, candidate=version(7, seconds_per_token=30e-6)), "1.50 times"),
    ("latency", replace(GOOD, champion=version(6, seconds_per_token=None)), "measure both"),
    (
        "likeness",
        replace(GOOD, likeness=Likeness(False, 0.1, None, None, ("overlap: 0.1: failed.",))),
        "overlap: 0.1: failed.",
    ),
    ("likeness", replace(GOOD, likeness=None), "were not compared"),
    ("licence", replace(GOOD, licence=""), "names no licence; tag"),
    ("licence", replace(GOOD, licence="", provenance=""), "no licence and no provenance"),
    ("approval", replace(GOOD, approved_by=""), "Nobody approved"),
]


@pytest.mark.parametrize(("name", "evidence", "said"), CASES)
def test_a_gate_fails_alone_and_says_why(name: str, evidence: Evidence, said: str) -> None:
    states = state_of(evidence)
    assert states[name][0] == "failed"
    assert said in states[name][1]
    assert [other for other, (state, _) in states.items() if state != "passed"] == [name]


@pytest.mark.parametrize(("name", "evidence", "said"), CASES)
def test_a_waiver_lets_it_pass_and_still_says_why(name: str, evidence: Evidence, said: str) -> None:
    gates = {gate.name: gate for gate in report(evidence, waived={name})}
    assert gates[name].state == "waived"
    assert said in gates[name].sentence
    assert may_go_on(gates.values())


def test_the_first_version_has_nothing_to_be_compared_with() -> None:
    assert may_go_on(report(replace(GOOD, champion=None, likeness=None)))


def test_an_environment_may_ask_for_no_approval_and_list_licences() -> None:
    assert state_of(replace(GOOD, approval_needed=False, approved_by=""))["approval"][0] == "passed"
    state, said = state_of(GOOD, Limits(licences={"Apache-2.0"}))["licence"]
    assert (state, said) == ("failed", "The licence is MIT; this environment serves Apache-2.0.")


def test_a_waiver_of_no_gate_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no gate latencies; gates are validated, metrics"):
        report(GOOD, waived={"latencies"})
