"""The gates of a promotion, all reported at once.

A gate is a pure function over the evidence; gathering evidence is somebody else's work. What is
missing from the evidence fails: a gate that was not measured has not been passed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..errors import InvalidRequest
from .likeness import Likeness
from .metrics import Score
from .signatures import Json, compare

State = Literal["passed", "failed", "waived"]
Finding = tuple[bool, str]


@dataclass(frozen=True)
class Version:
    """The facts about one version that promotion looks at.

    Parameters
    ----------
    name
        As people call it: ``main.scgpt.whole_human version 7``.
    signature
        ``ModelSignature.to_dict()``.
    metrics
        Scores on the evaluation data.
    seconds_per_token
        Median of the reference request.
    """

    name: str
    signature: Json
    metrics: Mapping[str, Score]
    seconds_per_token: float | None = None


@dataclass(frozen=True)
class Evidence:
    """Everything known about a candidate, beside the champion that it would replace.

    Parameters
    ----------
    champion
        None for the first version of an environment: nothing to compare with.
    validated
        The build validated it in a clean environment.
    smoke_error
        Answer of the payload smoke test: empty if it succeeded, None if it was not run.
    likeness
        Embeddings of the reference cells by both versions; None if not compared.
    lost_genes
        Genes of the champion's vocabulary that the candidate's lacks; None if not compared.
    licence, provenance
        As the version's tags say.
    approval_needed, approved_by
        The environment asks for a person; who approved in this environment.
    """

    candidate: Version
    champion: Version | None
    validated: bool = False
    smoke_error: str | None = None
    likeness: Likeness | None = None
    lost_genes: Collection[str] | None = None
    licence: str = ""
    provenance: str = ""
    approval_needed: bool = True
    approved_by: str = ""


@dataclass(frozen=True)
class Limits:
    """Limits that an environment may set.

    Parameters
    ----------
    slowdown
        Time per token, over the champion's.
    licences
        Licences that may be served; empty: any that is named.
    """

    slowdown: float = 1.25
    licences: Collection[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Gate:
    """The outcome of one gate, with its numbers and what to do."""

    name: str
    state: State
    sentence: str


def report(
    evidence: Evidence, *, waived: Collection[str] = (), limits: Limits | None = None
) -> list[Gate]:
    """Judge every gate.

    Parameters
    ----------
    waived
        Gates whose failure a person takes responsibility for. A waiver of a gate that passes has
        no effect.

    Raises
    ------
    InvalidRequest
        ``unknown_gate``: a waiver names no gate.
    """
    check_waivers(waived)
    gates = []
    for name, gate in GATES.items():
        passed, sentence = gate(evidence, limits or Limits())
        state: State = "passed" if passed else "waived" if name in waived else "failed"
        gates.append(Gate(name, state, sentence))
    return gates


def check_waivers(waived: Collection[str]) -> None:
    """Refuse a waiver that names no gate.

    Raises
    ------
    InvalidRequest
        ``unknown_gate``.
    """
    if unknown := sorted(set(waived) - set(GATES)):
        raise InvalidRequest(
            "unknown_gate", f"no gate {', '.join(unknown)}; gates are {', '.join(GATES)}."
        )


def may_go_on(gates: Collection[Gate]) -> bool:
    """Tell whether no gate failed that nobody waived."""
    return all(gate.state != "failed" for gate in gates)


def _validated(evidence: Evidence, _: Limits) -> Finding:
    name = evidence.candidate.name
    if evidence.validated:
        return True, f"{name} answered correctly in a clean environment when it was built."
    return False, f"{name} was never validated in a clean environment; build it again."


def _metrics(evidence: Evidence, _: Limits) -> Finding:
    ours = evidence.candidate.metrics
    if not ours:
        return False, "There are no metrics; evaluate the version on labelled cells."
    if evidence.champion is None:
        return True, f"No champion to compare with: {_figures(ours)}."
    theirs = evidence.champion.metrics
    if not theirs:
        return False, "The champion has no metrics; evaluate it on the same cells."
    missing = [name for name in theirs if name not in ours]
    worse = [
        name
        for name in theirs
        # An interval from resampled cells may lie above the value itself.
        if name in ours and ours[name].value < min(theirs[name].low, theirs[name].value)
    ]
    if missing:
        return False, f"Not measured: {', '.join(missing)}. Evaluate both on the same cells."
    if worse:
        shown = "; ".join(f"{name} {ours[name].value:.4f}, was {theirs[name]}" for name in worse)
        return False, f"Below the champion's interval: {shown}. Train or choose another checkpoint."
    return True, f"Within or above the champion's intervals: {_figures(ours)}."


def _signature(evidence: Evidence, _: Limits) -> Finding:
    if evidence.champion is None:
        return True, "No champion, so no clients yet."
    found = compare(evidence.champion.signature, evidence.candidate.signature)
    if found.compatible:
        notes = " ".join(each.sentence for each in found.differences)
        return True, f"Clients of the champion may go on. {notes}".strip()
    reasons = " ".join(f"{each.place}: {each.sentence}" for each in found.breaking)
    return False, f"Clients of the champion would break. {reasons} Serve it under another name."


def _vocabulary(evidence: Evidence, _: Limits) -> Finding:
    if evidence.champion is None:
        return True, "No champion to compare with."
    if evidence.lost_genes is None:
        return False, "The vocabularies were not compared; read both versions' vocab.json."
    lost = sorted(evidence.lost_genes)
    if not lost:
        return True, "It knows every gene that the champion knows."
    shown = ", ".join(lost[:5]) + (", ..." if len(lost) > 5 else "")
    return False, (
        f"It lacks {len(lost):,} genes that the champion knows ({shown}); what clients send of "
        "them would be left out. Serve it under another name."
    )


def _payload(evidence: Evidence, _: Limits) -> Finding:
    if evidence.smoke_error is None:
        return False, "The reference payload was not sent; run the smoke test."
    if evidence.smoke_error:
        return False, f"The reference payload was refused: {evidence.smoke_error}"
    return True, "The reference payload was answered."


def _latency(evidence: Evidence, limits: Limits) -> Finding:
    ours = evidence.candidate.seconds_per_token
    if ours is None:
        return False, "The time of a reference request is unknown; measure it."
    shown = f"{ours * 1e6:,.1f} µs per token"
    if evidence.champion is None:
        return True, f"{shown}; no champion to compare with."
    theirs = evidence.champion.seconds_per_token
    if theirs is None:
        return False, f"{shown}, but the champion's is unknown; measure both on one machine."
    ratio = ours / theirs
    shown += f", {ratio:.2f} times the champion's; at most {limits.slowdown:g} is allowed"
    advice = (
        "" if ratio <= limits.slowdown else ". Measure again on a quiet machine, or speed it up"
    )
    return ratio <= limits.slowdown, f"{shown}{advice}."


def _likeness(evidence: Evidence, _: Limits) -> Finding:
    if evidence.champion is None:
        return True, "No champion to compare with."
    if evidence.likeness is None:
        return False, "The embeddings were not compared; embed the reference cells with both."
    return evidence.likeness.passed, " ".join(evidence.likeness.reasons)


def _licence(evidence: Evidence, limits: Limits) -> Finding:
    if not (evidence.licence and evidence.provenance):
        lacking = [name for name in ("licence", "provenance") if not getattr(evidence, name)]
        return False, f"The version names no {' and no '.join(lacking)}; tag it with its source."
    if limits.licences and evidence.licence not in limits.licences:
        allowed = ", ".join(sorted(limits.licences))
        return False, f"The licence is {evidence.licence}; this environment serves {allowed}."
    return True, f"{evidence.licence}; from {evidence.provenance}."


def _approval(evidence: Evidence, _: Limits) -> Finding:
    if not evidence.approval_needed:
        return True, "This environment asks for no approval."
    if evidence.approved_by:
        return True, f"Approved by {evidence.approved_by}."
    return False, "Nobody approved it for this environment; an approver sets the tag approved_by."


def _figures(metrics: Mapping[str, Score]) -> str:
    return ", ".join(f"{name} {score}" for name, score in metrics.items())


GATES: dict[str, Callable[[Evidence, Limits], Finding]] = {
    "validated": _validated,
    "metrics": _metrics,
    "signature": _signature,
    "vocabulary": _vocabulary,
    "payload": _payload,
    "latency": _latency,
    "likeness": _likeness,
    "licence": _licence,
    "approval": _approval,
}
