"""Params are checked by one table; the slim modules need neither torch nor MLflow."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from scgpt_databricks.model.contract import TASKS, Options, check_params_of, read_params
from scgpt_databricks.model.errors import InvalidRequest, find_tag
from scgpt_databricks.model.scgpt.params import PARAMS, ScgptOptions

SLIM = (
    "errors",
    "contract",
    "scgpt.config",
    "scgpt.vocab",
    "scgpt.tokenizer",
    "scgpt.params",
    "wire.envelope",
    "wire.codec",
    "wire.genes_in_context",
    "cells.imputed",
    "cells.known_genes",
    "client",
)


def test_nothing_sent_means_the_defaults() -> None:
    assert read_params(None, Options) == read_params({}, Options) == Options()


def test_what_mlflow_fills_in_for_params_that_were_not_sent_changes_nothing() -> None:
    assert read_params({p.name: p.default for p in PARAMS}, ScgptOptions) == ScgptOptions()


def test_numpy_scalars_and_arrays_are_read() -> None:
    options = read_params({"seed": np.int64(3), "genes": np.array(["A", "B"])}, ScgptOptions)
    assert (options.seed, options.genes) == (3, ("A", "B"))


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"sed": 1}, "unknown_param"),
        ({"seed": "1"}, "invalid_param"),
        ({"seed": True}, "invalid_param"),
        ({"seed": 1.0}, "invalid_param"),
        ({"seed": 2**63}, "invalid_param"),
        ({"normalize_total": float("inf")}, "invalid_param"),
        ({"normalize_total": True}, "invalid_param"),
        ({"normalize_total": -1}, "invalid_param"),
        ({"log1p": 1}, "invalid_param"),
        ({"genes": "A"}, "invalid_param"),
        ({"genes": ["A", 1]}, "invalid_param"),
        ({"task": "Cell_embeddings"}, "invalid_param"),
        ({"min_known_fraction": 1.01}, "invalid_param"),
        ({"max_length": -5}, "invalid_param"),
        ({"max_length": 1}, "invalid_param"),
    ],
)
def test_impossible_params(params: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_params(params, ScgptOptions)
    assert caught.value.code == code
    assert next(iter(params)) in caught.value.message


def test_a_family_adds_its_own_params_to_the_common_ones() -> None:
    with pytest.raises(InvalidRequest, match="ties: no such param"):
        read_params({"ties": "mid"}, Options)
    assert isinstance(read_params({"ties": "mid"}, ScgptOptions), Options)


def test_tags_survive_inside_foreign_messages() -> None:
    error = InvalidRequest("no_cells", "the request holds no cell.")
    assert find_tag(f"Failed to predict data '[1]'. \nError: {error.tagged()}") == (
        "no_cells",
        "the request holds no cell.",
    )
    assert find_tag("plain message [1] here") is None


def test_slim_modules_import_without_torch_mlflow_and_pandas() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'mlflow', 'pandas', 'anndata', 'scanpy'): sys.modules[name] = None\n"
        + "\n".join(f"import scgpt_databricks.model.{name}" for name in SLIM)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("params", "tasks"),
    [
        ({"genes": ["A"]}, ["gene_embeddings", "contextual_gene_embeddings"]),
        ({"gene_offset": 1}, ["gene_embeddings"]),
        ({"gene_limit": 1}, ["gene_embeddings"]),
        ({"group_by": "type"}, ["contextual_gene_embeddings"]),
        ({"ties": "spread"}, ["cell_embeddings", "contextual_gene_embeddings"]),
        ({"seed": 1}, ["cell_embeddings", "contextual_gene_embeddings"]),
        ({"max_length": 100}, ["cell_embeddings", "contextual_gene_embeddings"]),
        ({"allow_imputed": True}, ["cell_embeddings", "contextual_gene_embeddings"]),
        ({"ties": "mid", "seed": 0, "allow_imputed": False}, list(TASKS)),
    ],
)
def test_a_param_that_a_task_would_ignore_is_refused(task: str, params: dict, tasks: list) -> None:
    options = read_params(params, ScgptOptions)
    if task in tasks:
        check_params_of(task, options)
    else:
        with pytest.raises(InvalidRequest, match=f"but task is {task}"):
            check_params_of(task, options)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("subset_hvg", [0, 9])
def test_the_guide_sends_a_flavour_in_any_case(task: str, subset_hvg: int) -> None:
    sent = {"hvg_flavor": "seurat", "subset_hvg": subset_hvg}
    check_params_of(task, read_params(sent, Options))
