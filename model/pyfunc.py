"""The model as an MLflow pyfunc (models-from-code): the adapter.

A version carries this package under a name of its own, and a short generated entry that hands a
``ScgptModel`` to MLflow (see ``build.ship_engine``). ``load_context`` builds the engine once;
``predict`` never builds anything. Errors of the caller leave as ``[code] sentence`` with MLflow's
``INVALID_PARAMETER_VALUE``, which its scoring server answers with 400.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
)
from scipy import sparse

from . import contract
from .cells.trial import prepare
from .errors import CheckpointError, EngineError, ScgptError
from .scgpt import gpu, joining
from .scgpt.checkpoint_files import CheckpointFiles
from .scgpt.config import SPECIAL_TOKENS
from .scgpt.device import device_for
from .scgpt.embedder import Embedder
from .scgpt.engine import ScgptEngine
from .scgpt.params import PARAMS, ScgptOptions
from .scgpt.vocab import GeneVocab
from .serve.answer import answer
from .serve.dropped import refuse_what_mlflow_drops
from .serve.preprocess import warm_up_hvg
from .serve.volumes import check_prefixes
from .wire.codec import encode_cells

if TYPE_CHECKING:
    import torch
    from anndata import AnnData


_log = logging.getLogger("mlflow.scgpt")  # serving shows what is logged below "mlflow", no other


class ScgptModel(PythonModel):
    """scGPT behind MLflow's interface.

    Where ``SCGPT_EXPECTS_GPU`` is ``true``, it refuses to load on a processor.

    Artifacts: ``checkpoint`` (an official checkpoint directory), or the guide's three files
    ``model_file``, ``model_config_file``, ``vocab_file`` (and perhaps ``gene_ids_file`` and
    ``gene_aliases_file``). Model config (optional): ``device``,
    ``precision``, ``token_budget`` as in ``Embedder.load``; ``allowed_path_prefixes``, the folders
    below ``/Volumes`` from which ``input_data_path`` may be read (default: none); ``with_hvg``,
    true where scanpy and scikit-misc are there for ``subset_hvg`` (default: false).

    Parameters
    ----------
    special_tokens
        As the guide passes them; no others are known.

    Raises
    ------
    CheckpointError
        ``unsupported_config``: other special tokens.
    """

    def __init__(self, special_tokens: Sequence[str] = SPECIAL_TOKENS) -> None:
        if set(special_tokens) != set(SPECIAL_TOKENS):
            raise CheckpointError(
                "unsupported_config",
                f"special_tokens are {list(special_tokens)}; scGPT's are {list(SPECIAL_TOKENS)}.",
            )

    def load_context(self, context: PythonModelContext) -> None:
        """Build the engine, once."""
        settings = context.model_config or {}
        if gpu.is_expected():
            _require_gpu(settings.get("device"))
        embedder = Embedder.load(
            _checkpoint_of(context.artifacts),
            device=settings.get("device"),
            precision=settings.get("precision"),
            token_budget=settings.get("token_budget"),
        )
        _log.info(embedder.choices)
        embedder.warm_up()  # a replica that says it is ready answers at its usual speed
        self.folders = check_prefixes(settings.get("allowed_path_prefixes") or ())
        if self.folders:
            prepare()  # opens what callers name
        self.engine = ScgptEngine(embedder, joining.wait_ms())
        self.with_hvg = bool(settings.get("with_hvg"))
        if self.with_hvg:
            warm_up_hvg()
        refuse_what_mlflow_drops(param.name for param in PARAMS)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Answer a request (see ``docs/wire-format.md``).

        Returns
        -------
        pandas.DataFrame
            One row per cell (``cell_embeddings``) or per row of input (``gene_embeddings``, and
            every packed answer).

        Raises
        ------
        MlflowException
            ``INVALID_PARAMETER_VALUE`` for what the caller can mend.
        """
        try:
            return answer(self.engine, model_input, params, self.folders, with_hvg=self.with_hvg)
        except ScgptError as error:
            code = INVALID_PARAMETER_VALUE if error.status < 500 else INTERNAL_ERROR
            raise MlflowException(error.tagged(), error_code=code) from error
        except RuntimeError as error:
            if not gpu.has_failed(error):
                raise
            told = _after_failure(self.engine.embedder.network.device, error)
            raise MlflowException(told.tagged(), error_code=INTERNAL_ERROR) from error

    def preprocess(
        self,
        context: PythonModelContext | None,
        input_data_path: str | None = None,
        input_dataframe: pd.DataFrame | None = None,
        data_is_raw: bool = False,
        params: dict[str, Any] | None = None,
    ) -> AnnData:
        """The guide's pipeline in a notebook: the cells that are left after the filters asked for.

        Parameters
        ----------
        context
            Not used.
        input_data_path
            An ``.h5ad``, read with the rights of whoever runs the notebook.
        input_dataframe
            One row in the guide's form or packed, instead of the path.
        data_is_raw, params
            As in a request.

        Returns
        -------
        AnnData
            Counts as they were sent, ``uns["applied_steps"]``. No layers: the engine bins by rank.

        Raises
        ------
        InvalidRequest
            Both inputs or neither, more than one row, no cells, or what a request is refused for.
        """
        from .serve.notebook import preprocessed  # slow to import; endpoints never need it

        raw = {"data_is_raw": True} if data_is_raw else {}
        options = contract.read_params({**(params or {}), **raw}, ScgptOptions)
        return preprocessed(input_data_path, input_dataframe, options)

    def filter(
        self, gene_embeddings: Mapping[str, Any], preprocessed_data: AnnData
    ) -> dict[str, Any]:
        """The vectors of those genes that the data have, in the order of ``gene_embeddings``."""
        genes = set(preprocessed_data.var_names)
        return {gene: vector for gene, vector in gene_embeddings.items() if gene in genes}


TransformerModelWrapper = ScgptModel  # the guide's name


def _require_gpu(device: str | None) -> None:
    """Refuse to start on a processor where a GPU was given; the last line of the log says why."""
    try:
        gpu.require(device_for(device))
    except ScgptError as error:
        _log.error(error.tagged())
        raise


def _after_failure(device: torch.device, error: RuntimeError) -> EngineError:
    """Say that a GPU failed in a request; end the process of an endpoint if it cannot go on."""
    cause = str(error).partition("\n")[0]
    if gpu.still_works(device):
        told = EngineError("gpu_failed", f"the GPU failed in this request: {cause}. Send it again.")
        _log.error(told.tagged())
        return told
    told = EngineError(
        "gpu_lost",
        f"the GPU failed and computes no more in this process: {cause}. Send the request again "
        "when another process has started.",
    )
    _log.critical(told.tagged())
    if gpu.is_expected():
        gpu.end_process()
    return told


def _checkpoint_of(artifacts: Mapping[str, str]) -> Path | CheckpointFiles:
    if "checkpoint" in artifacts:
        return Path(artifacts["checkpoint"])
    return CheckpointFiles(
        weights=Path(artifacts["model_file"]),
        config=Path(artifacts["model_config_file"]),
        vocab=Path(artifacts["vocab_file"]),
        ids=_path(artifacts.get("gene_ids_file")),
        aliases=_path(artifacts.get("gene_aliases_file")),
    )


def _path(artifact: str | None) -> Path | None:
    return None if artifact is None else Path(artifact)


def signature() -> ModelSignature:
    """The contract as an MLflow signature."""
    anything = AnyType()  # type: ignore[no-untyped-call]
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(anything, name, required=False) for name in contract.GUIDE_COLUMNS
    ]
    inputs.append(ColSpec(DataType.string, contract.PACKED, required=False))
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "id", required=False),
        ColSpec(Array(DataType.double), "embedding", required=False),
        ColSpec(DataType.long, "matched_genes", required=False),
        ColSpec(DataType.long, "unknown_genes", required=False),
        ColSpec(DataType.long, "truncated_genes", required=False),
        ColSpec(Map(Array(DataType.double)), "gene_embeddings", required=False),
        ColSpec(Array(DataType.string), "genes_not_found", required=False),
        ColSpec(DataType.long, "genes_total", required=False),
        ColSpec(DataType.string, "group", required=False),
        ColSpec(DataType.long, "cells", required=False),
        ColSpec(Map(Array(DataType.double)), "gene_sums", required=False),
        ColSpec(Map(DataType.long), "gene_counts", required=False),
        ColSpec(DataType.string, "packed", required=False),
        ColSpec(Array(DataType.string), "applied_steps", required=False),
        ColSpec(DataType.long, "input_row"),
        ColSpec(DataType.string, "model_digest"),
    ]
    params = [
        ParamSpec(
            param.name,
            param.dtype,
            list(param.default) if param.is_list else param.default,
            shape=(-1,) if param.is_list else None,
        )
        for param in PARAMS
    ]
    return ModelSignature(Schema(inputs), Schema(outputs), ParamSchema(params))


def validation_cells(
    vocab: GeneVocab, n_cells: int = 8, n_genes: int = 60
) -> tuple[sparse.csr_matrix, list[str]]:
    """Some made-up counts over the vocabulary's first genes: ``[cells, genes]`` and the symbols."""
    genes = [vocab.tokens[i] for i in vocab.gene_ids[:n_genes]]
    rng = np.random.default_rng(0)
    counts = rng.negative_binomial(1, 0.3, (n_cells, len(genes)))
    counts[:, 0] += 1  # no cell is empty
    return sparse.csr_matrix(counts.astype(np.float32)), genes


def guide_frame(counts: sparse.csr_matrix, genes: list[str]) -> pd.DataFrame:
    """Cells in the guide's serialisable form: one row, three columns."""
    ids = [f"cell-{i}" for i in range(counts.shape[0])]
    obs = pd.DataFrame({"final_annotation": "unknown", "batch": "0"}, index=ids)
    return pd.DataFrame(
        {
            contract.MATRIX: [counts.toarray().tolist()],
            contract.OBS: [obs.to_json(orient="split")],
            contract.VAR: [pd.DataFrame(index=genes).to_json(orient="split")],
        }
    )


def input_example(vocab: GeneVocab) -> tuple[pd.DataFrame, dict[str, Any]]:
    """``(data, params)`` in the guide's serialisable form, as ``log_model`` takes it."""
    counts, genes = validation_cells(vocab, n_cells=2, n_genes=20)
    return guide_frame(counts, genes), {"task": contract.CELL_EMBEDDINGS, "data_is_raw": True}


def validation_payloads(counts: sparse.csr_matrix, genes: list[str]) -> dict[str, dict[str, Any]]:
    """Request bodies, one per form, that ask for the embeddings of the same cells."""
    frames = {
        "guide": guide_frame(counts, genes),
        "packed": pd.DataFrame({contract.PACKED: [encode_cells(counts, genes)]}),
    }
    return {
        name: {
            "dataframe_split": frame.to_dict(orient="split", index=False),
            "params": {"task": contract.CELL_EMBEDDINGS},
        }
        for name, frame in frames.items()
    }
