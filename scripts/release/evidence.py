"""Measure a candidate beside the champion that it would replace, for the gates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.models import Model
from scipy import sparse

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.model import contract, pyfunc, registry, side_by_side
from scgpt_databricks.model.cells.counts_place import CountsPlace
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.evidence.clean import clean_variables
from scgpt_databricks.model.evidence.labelled import read_labelled
from scgpt_databricks.model.judge import gates, likeness
from scgpt_databricks.model.judge.metrics import check_labels, evaluate
from scgpt_databricks.model.registry import Version
from scgpt_databricks.model.wire.codec import encode_cells

from . import vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CELLS_PER_REQUEST = 100
_FIRST = 8
"""Cells of the requests that come first, one in each form that clients send."""


@dataclass(frozen=True)
class Reference:
    """Labelled cells that both versions are asked for."""

    counts: sparse.csr_matrix
    genes: list[str]
    labels: list[str]


def reference(cells: Path | None, column: str) -> Reference:
    """Return the cells of a file and their labels; without a file, the 700 PBMC of scanpy.

    The counts of a file are those that the client would send.

    Raises
    ------
    ScgptError
        The file cannot be read, or its values or labels cannot be judged by.
    """
    if cells is None:
        return _pbmc(column)
    found = read_labelled(cells, column, place=CountsPlace(find_matrix=True))
    return Reference(found.cells.counts, found.cells.genes, found.types.tolist())


def _pbmc(column: str) -> Reference:
    from scgpt_databricks.model.scgpt.demo import pbmc_cells

    data = pbmc_cells()
    if column not in data.obs:
        raise InvalidRequest(
            "no_labels",
            f"the 700 PBMC have no column {column!r} in obs; their columns: {', '.join(data.obs)}. "
            "Name one with --labels, or a file of your own with --cells.",
        )
    labels = check_labels(data.obs[column].astype(object).to_numpy(), data.n_obs)
    return Reference(
        sparse.csr_matrix(data.X), [str(name) for name in data.var_names], labels.tolist()
    )


def gather(
    candidate: tuple[Version, Path],
    champion: tuple[Version, Path] | None,
    *,
    cells: Reference,
    approval_needed: bool,
    approved_by: str,
    scratch: Path,
) -> gates.Evidence:
    """Ask both versions for the same cells and return all that the gates look at.

    Parameters
    ----------
    candidate, champion
        A version and the folder with its files.
    """
    both = [candidate, *([champion] if champion else [])]
    told, embeddings = _ask([files for _, files in both], cells, scratch)
    versions = [
        gates.Version(
            name=version.name,
            signature=_signature(files),
            metrics=evaluate(embedding, cells.labels) if len(embedding) else {},
            seconds_per_token=answer["seconds_per_token"],
        )
        for (version, files), answer, embedding in zip(both, told, embeddings, strict=True)
    ]
    alike = None
    if champion and all(map(len, embeddings)):
        same = candidate[0].tags.get(registry.CHECKPOINT)
        alike = likeness.compare(
            embeddings[1],
            embeddings[0],
            same_weights=same == champion[0].tags.get(registry.CHECKPOINT),
            labels=cells.labels,
        )
    return gates.Evidence(
        candidate=versions[0],
        champion=versions[1] if champion else None,
        validated=candidate[0].validated,
        smoke_error=told[0]["error"],
        likeness=alike,
        lost_genes=_lost_genes(candidate[1], champion[1]) if champion else None,
        licence=candidate[0].tags.get(registry.LICENCE, ""),
        provenance=candidate[0].tags.get(registry.PROVENANCE, ""),
        approval_needed=approval_needed,
        approved_by=approved_by,
    )


def _ask(
    folders: list[Path], cells: Reference, scratch: Path
) -> tuple[list[dict[str, Any]], list[NDArray[np.float32]]]:
    """Return what was told of each model, and its embeddings."""
    requests, out = scratch / "requests.json", scratch / "embeddings.npz"
    first = pyfunc.validation_payloads(cells.counts[:_FIRST], cells.genes)
    starts = range(0, cells.counts.shape[0], _CELLS_PER_REQUEST)
    then = [_packed(cells.counts[at : at + _CELLS_PER_REQUEST], cells.genes) for at in starts]
    requests.write_text(json.dumps({"first": list(first.values()), "then": then}))
    done = subprocess.run(
        [sys.executable, "-I", side_by_side.__file__, str(requests), str(out), *map(str, folders)],
        cwd=scratch,
        # One device and one precision for all: equal weights then agree to the last digits.
        env={**clean_variables(), "CUDA_VISIBLE_DEVICES": "", **_threads()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise DeployError(f"the versions could not be asked side by side:\n{tail}")
    with np.load(out) as found:
        embeddings = [found[name] for name in found.files]
    told: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return told, embeddings


def _packed(counts: sparse.csr_matrix, genes: list[str]) -> dict[str, Any]:
    columns, row = [contract.PACKED], [encode_cells(counts, genes)]
    return {
        "dataframe_split": {"columns": columns, "data": [row]},
        "params": {"task": contract.CELL_EMBEDDINGS},
    }


def _threads() -> dict[str, str]:
    name = "OMP_NUM_THREADS"
    return {name: os.environ[name]} if name in os.environ else {}


def _signature(files: Path) -> dict[str, Any]:
    signature = Model.load(str(files)).signature
    found: dict[str, Any] = signature.to_dict() if signature else {}
    return found


def _lost_genes(candidate: Path, champion: Path) -> tuple[str, ...]:
    """Return the genes that the champion's vocabulary has and the candidate's lacks."""
    return tuple(sorted(vocabulary.of_files(champion) - vocabulary.of_files(candidate)))
