"""Score a checkpoint on labelled cells, beside PCA and the version that it would replace."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from scipy import sparse

from .. import contract, registry
from ..cells.job_options import CELLS_PER_REQUEST
from ..judge.metrics import Floats, Score, evaluate, principal_components
from ..registry import Version
from ..scgpt.embedder import Embedder
from ..wire.codec import encode_cells
from .baseline import baseline
from .labelled import Labelled

_PER_CELL = 1e4  # counts of a cell after normalisation, as scanpy's tutorials have it


@dataclass(frozen=True)
class Evaluation:
    """Scores of a checkpoint, and of what it is compared with, on the same cells.

    Parameters
    ----------
    champion
        Version that was live at the time; None where there was none.
    champion_scores
        Empty where there was none, or where it takes other requests.
    note
        Why the champion has no scores.
    baseline
        What later requests are compared with.
    """

    data: Labelled
    scores: Mapping[str, Score]
    pca: Mapping[str, Score]
    champion: Version | None
    champion_scores: Mapping[str, Score]
    note: str
    baseline: Mapping[str, Any]

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the version: scores with intervals, and on what they were measured."""
        return {
            registry.METRICS: registry.metrics_tag(self.scores),
            registry.EVALUATED_ON: self.data.digest,
        }

    @property
    def metrics(self) -> dict[str, float]:
        """The scores as MLflow takes them: ``ari``, ``ari_low``, ``pca_ari``, ``champion_ari``."""
        found: dict[str, float] = {}
        for name, score in self.scores.items():
            found |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
        for prefix, scores in (("pca", self.pca), ("champion", self.champion_scores)):
            found |= {f"{prefix}_{name}": score.value for name, score in scores.items()}
        return found

    @cached_property
    def dataset(self) -> MetaDataset:
        """The cells as MLflow records them beside a run."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two of MLflow's classes read local files
            source = resolve_dataset_source(self.data.source)
        digest = self.data.digest[:36]  # MLflow takes no more
        return MetaDataset(source, self.data.name, digest)  # type: ignore[abstract]


def evaluate_checkpoint(
    embedder: Embedder, data: Labelled, champion: Version | None, notify: Callable[[str], None]
) -> Evaluation:
    """Embed the cells with a checkpoint and with the champion, and score both beside PCA.

    A champion that was evaluated on the same data is not asked again.
    """
    notify(f"evaluating on {data}")
    found = embedder.embed_cells(data.cells.counts, data.cells.genes)
    scores: Mapping[str, Score] = {}
    note = "there is no champion yet"
    if champion is not None:
        notify(f"comparing with the champion, {champion.name}")
        scores, note = _of_champion(champion, data)
    return Evaluation(
        data,
        _scores(found.embeddings, data),
        _scores(principal_components(log_normalised(data.cells.counts)), data),
        champion,
        scores,
        note,
        baseline(data, found),
    )


def log_normalised(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return log-normalised values of counts; values that are no whole numbers are so already."""
    if counts.nnz and (counts.data % 1).any():
        return counts
    sizes = np.asarray(counts.sum(axis=1)).ravel()
    factors = np.divide(_PER_CELL, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    return sparse.csr_matrix(sparse.diags_array(factors) @ counts).log1p()


def _scores(embedding: Floats, data: Labelled) -> dict[str, Score]:
    return evaluate(embedding, data.types, data.batches)


def _of_champion(champion: Version, data: Labelled) -> tuple[Mapping[str, Score], str]:
    if champion.tags.get(registry.EVALUATED_ON) == data.digest:
        return champion.metrics, ""
    try:
        return _scores(embed_with(champion, data), data), ""
    except MlflowException as error:  # an adopted one may take other requests than ours
        return {}, f"it could not be asked: {str(error).splitlines()[0][:300]}"


def embed_with(version: Version, data: Labelled) -> Floats:
    """Embed labelled cells with a registered version, in this process: float32 [cells, dim]."""
    model = mlflow.pyfunc.load_model(f"models:/{version.model}/{version.number}")
    counts, rows = data.cells.counts, []
    for start in range(0, counts.shape[0], CELLS_PER_REQUEST):
        packed = encode_cells(counts[start : start + CELLS_PER_REQUEST], data.cells.genes)
        frame = pd.DataFrame({contract.PACKED: [packed]})
        answer = model.predict(frame, params={"task": contract.CELL_EMBEDDINGS})
        rows += list(answer["embedding"])
    return np.array(rows, dtype=np.float32)
