"""The model card of a version, written from the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from .. import registry
from ..judge.metrics import Score
from ..scgpt.embedder import Embedder
from .evaluation import Evaluation
from .parity import Parity

_LIMITS = (
    "For research. Genes outside the vocabulary are ignored. The scores hold for cells like those "
    "that were evaluated; other tissues, species and protocols need an evaluation of their own."
)


def model_card(
    embedder: Embedder, tags: Mapping[str, str], evaluation: Evaluation | None, parity: Parity
) -> str:
    """Return the card in Markdown: what it is, how good it is, where it comes from."""
    config = embedder.config
    summary = (
        f"Turns counts of single cells into vectors of {config.d_model} numbers, and genes too. "
        f"Knows {len(embedder.vocab.gene_ids):,} genes; reads at most {config.max_length:,} of a "
        "cell. Vectors can be compared with others of the same checkpoint only."
    )
    origin = [
        ["licence", tags.get(registry.LICENCE, "not named")],
        ["provenance", tags.get(registry.PROVENANCE, "not named")],
        ["checkpoint", _short(tags[registry.CHECKPOINT])],
        ["engine", _short(tags[registry.ENGINE])],
        ["signature", _short(tags[registry.SIGNATURE])],
        ["packages and settings", _short(tags[registry.IMAGE])],
        ["git commit", tags[registry.COMMIT]],
    ]
    parts = {
        "# scGPT: embeddings of single cells": summary,
        "## Evaluation": _evaluation(evaluation),
        "## Parity": f"{str(parity)[0].upper()}{str(parity)[1:]}.",
        "## Origin": _table(["", ""], origin),
        "## Limits": _LIMITS,
    }
    return "\n\n".join(f"{title}\n\n{text}" for title, text in parts.items()) + "\n"


def _evaluation(found: Evaluation | None) -> str:
    if found is None:
        return "Not evaluated: it was built without labelled cells."
    columns: list[tuple[str, Mapping[str, Score]]] = [
        ("this version", found.scores),
        ("PCA", found.pca),
    ]
    if found.champion_scores and found.champion is not None:
        columns.append((f"version {found.champion.number}", found.champion_scores))
    rows = [
        [name, *(str(scores[name]) if name in scores else "-" for _, scores in columns)]
        for name in found.scores
    ]
    text = (
        f"On {found.data} (digest `{found.data.digest[:12]}`), with 95 % bootstrap intervals; more "
        f"is better.\n\n{_table(['', *(title for title, _ in columns)], rows)}"
    )
    return f"{text}\n\nNo scores of the champion: {found.note}." if found.note else text


def _short(digest: str) -> str:
    return f"`{digest[:12]}`"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
