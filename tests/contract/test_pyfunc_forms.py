"""Every form of input, through MLflow in process and over HTTP, gives what the engine gives."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import PyFuncModel
from scipy import sparse

from scgpt_databricks.model import contract, pyfunc
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import decode_embeddings, encode_cells
from tests.contract.conftest import Server
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(50, 100, seed=3))
SOME = GENES[:100]
IDS = [f"cell-{i}" for i in range(50)]
CELLS = {"task": "cell_embeddings"}
GUIDE_PARAMS = {
    "need_preprocess": True,
    "input_data_path": "",
    "data_is_raw": False,
    "use_key": "X",
    "filter_gene_by_counts": 3,
    "filter_cell_by_counts": False,
    "normalize_total": 1e4,
    "result_normed_key": "X_normed",
    "log1p": False,
    "result_log1p_key": "X_log1p",
    "subset_hvg": 1200,
    "hvg_flavor": "cell_ranger",
    "binning": 51,
    "result_binned_key": "X_binned",
    "embsize": 32,
    "nhead": 4,
    "d_hid": 48,
    "nlayers": 3,
    "n_layers_cls": 3,
}


def direct() -> pd.DataFrame:
    obs = pd.DataFrame({"final_annotation": "t", "batch": "b"}, index=IDS)
    return pd.DataFrame(
        {
            "adata_sparsematrix": [COUNTS],
            "adata_obs": [obs],
            "adata_var": [pd.DataFrame(index=SOME)],
        }
    )


def serialisable() -> pd.DataFrame:
    return pyfunc.guide_frame(COUNTS, SOME)


def packed() -> pd.DataFrame:
    return pd.DataFrame({"packed": [encode_cells(COUNTS, SOME, IDS)]})


FORMS = {"direct": direct, "serialisable": serialisable, "packed": packed}


def body(frame: pd.DataFrame, params: dict | None = None) -> dict:
    return {"dataframe_split": frame.to_dict("split", index=False), "params": params or {}}


def vectors(rows: list[dict]) -> np.ndarray:
    return np.array([row["embedding"] for row in rows])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_engines_answer(
    loaded: PyFuncModel, embedder: Embedder, form: str
) -> None:
    rows = loaded.predict(FORMS[form](), params=CELLS).to_dict("records")
    wanted = embedder.embed_cells(COUNTS, SOME)
    assert [row["id"] for row in rows] == IDS
    np.testing.assert_allclose(vectors(rows), wanted.embeddings, atol=1e-6)
    assert [row["matched_genes"] for row in rows] == wanted.matched.tolist()
    assert [row["truncated_genes"] for row in rows] == wanted.truncated.tolist()
    assert {row["model_digest"] for row in rows} == {embedder.digest}


@pytest.mark.parametrize("form", ["serialisable", "packed"])
def test_over_http_too(server: Server, embedder: Embedder, form: str) -> None:
    answer = server.post("/invocations", json=body(FORMS[form](), CELLS))
    assert answer.status_code == 200
    wanted = embedder.embed_cells(COUNTS, SOME).embeddings
    np.testing.assert_allclose(vectors(answer.json()["predictions"]), wanted, atol=1e-6)


@pytest.mark.parametrize(("response", "tolerance"), [("float32", 0), ("float16", 5e-4)])
def test_packed_answers(
    server: Server, embedder: Embedder, response: str, tolerance: float
) -> None:
    params = {**CELLS, "response_format": response}
    (row,) = server.post("/invocations", json=body(packed(), params)).json()["predictions"]
    got = decode_embeddings(row["packed"])
    wanted = embedder.embed_cells(COUNTS, SOME)
    np.testing.assert_allclose(got.embeddings, wanted.embeddings, atol=tolerance)
    assert (got.names, got.digest) == (IDS, embedder.digest)
    np.testing.assert_array_equal(got.matched, wanted.matched)
    np.testing.assert_array_equal(got.truncated, wanted.truncated)


def test_the_guides_own_request_finds_its_vectors(server: Server, embedder: Embedder) -> None:
    """50 cells x 100 genes, its full params; what people parse is predictions[0]."""
    answer = server.post("/invocations", json=body(serialisable(), GUIDE_PARAMS))
    assert answer.status_code == 200
    found = answer.json()["predictions"][0]
    assert set(found["gene_embeddings"]) <= set(SOME)
    genes = list(found["gene_embeddings"])
    wanted = embedder.embed_genes(genes).embeddings
    np.testing.assert_allclose([found["gene_embeddings"][g] for g in genes], wanted, atol=1e-6)
    assert any("all" in step and "kept" in step for step in found["applied_steps"])


@pytest.mark.parametrize("path", [None, ""])
def test_the_guides_first_version_returns_the_whole_table(server: Server, path: str | None) -> None:
    params = {"need_preprocess": False, "input_data_path": path}
    answer = server.post("/invocations", json=body(serialisable(), params))
    assert list(answer.json()["predictions"][0]["gene_embeddings"]) == GENES


def test_several_guide_rows_in_one_request_are_all_answered(
    server: Server, embedder: Embedder
) -> None:
    frame = pd.concat([serialisable(), serialisable()], ignore_index=True)
    rows = server.post("/invocations", json=body(frame, CELLS)).json()["predictions"]
    assert [row["input_row"] for row in rows] == [0] * 50 + [1] * 50
    genes = server.post("/invocations", json=body(frame)).json()["predictions"]
    assert [sorted(row["gene_embeddings"]) for row in genes] == [sorted(SOME)] * 2


def test_genes_by_list_by_page_and_packed(server: Server, embedder: Embedder) -> None:
    params = {"genes": ["G7", "no such gene", "G1"]}
    (row,) = server.post("/invocations", json=body(serialisable(), params)).json()["predictions"]
    assert (list(row["gene_embeddings"]), row["genes_not_found"]) == (
        ["G7", "G1"],
        ["no such gene"],
    )

    pages: list[str] = []
    for offset in (0, 50, 100):
        params = {"need_preprocess": False, "gene_offset": offset, "gene_limit": 50}
        answer = server.post("/invocations", json=body(serialisable(), params)).json()
        pages += answer["predictions"][0]["gene_embeddings"]
    assert pages == GENES

    params = {"need_preprocess": False, "response_format": "float32"}
    (row,) = server.post("/invocations", json=body(serialisable(), params)).json()["predictions"]
    whole = decode_embeddings(row["packed"])
    np.testing.assert_array_equal(whole.embeddings, embedder.embed_genes().embeddings)
    assert whole.names == GENES


def test_filters_drop_cells_and_say_so(server: Server) -> None:
    totals = COUNTS.sum(axis=1).A1
    least = float(np.median(totals))
    answer = server.post(
        "/invocations", json=body(packed(), {**CELLS, "min_counts_per_cell": least})
    )
    rows = answer.json()["predictions"]
    assert [row["id"] for row in rows] == [
        i for i, t in zip(IDS, totals, strict=True) if t >= least
    ]
    assert rows[0]["applied_steps"][0].startswith("min_counts_per_cell")


def test_rows_with_and_without_steps_leave_no_hole(server: Server) -> None:
    whole = serialisable().to_dict("records")[0]
    records = [whole, {"adata_var": whole["adata_var"]}]
    payload = {"dataframe_records": records, "params": {"filter_gene_by_counts": 1}}
    answer = server.post("/invocations", json=payload)
    assert "NaN" not in answer.text
    assert [len(row["applied_steps"]) for row in answer.json()["predictions"]] == [1, 0]


def test_guide_and_records_orientations(server: Server, embedder: Embedder) -> None:
    payload = {"dataframe_records": serialisable().to_dict("records"), "params": CELLS}
    rows = server.post("/invocations", json=payload).json()["predictions"]
    wanted = embedder.embed_cells(COUNTS, SOME).embeddings
    np.testing.assert_allclose(vectors(rows), wanted, atol=1e-6)


def test_the_guides_three_files_load_as_well(
    checkpoint: Path, entry: Path, embedder: Embedder, tmp_path: Path
) -> None:
    import mlflow

    mlflow.pyfunc.save_model(
        tmp_path / "logged",
        python_model=str(entry),
        artifacts={
            "model_file": str(checkpoint / "best_model.pt"),
            "model_config_file": str(checkpoint / "args.json"),
            "vocab_file": str(checkpoint / "vocab.json"),
        },
        signature=pyfunc.signature(),
        pip_requirements=["mlflow"],
    )
    rows = mlflow.pyfunc.load_model(str(tmp_path / "logged")).predict(packed(), params=CELLS)
    assert set(rows["model_digest"]) == {embedder.digest}


def test_the_signature_and_example_survive_json() -> None:
    from mlflow.models import ModelSignature

    signature = pyfunc.signature()
    assert ModelSignature.from_dict(json.loads(json.dumps(signature.to_dict()))) == signature


VARIABLE: dict[str, Any] = {**CELLS, "subset_hvg": 3}


@pytest.mark.parametrize("flavor", contract.HVG_FLAVORS)
def test_a_version_built_without_variable_genes_says_so_wherever_it_runs(
    server: Server, flavor: str
) -> None:
    assert find_spec("scanpy")
    frame = pyfunc.guide_frame(sparse.csr_matrix(make_counts(30, 12, seed=4)), GENES[:12])
    body = {
        "dataframe_split": frame.to_dict(orient="split", index=False),
        "params": {**VARIABLE, "hvg_flavor": flavor},
    }
    answer = server.post("/invocations", data=json.dumps(body))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "[hvg_not_available]" in answer.json()["message"]
    assert "--with-hvg" in answer.json()["message"]


_LOADED_WITH_HVG = """
import sys
import mlflow
import pandas as pd

model = mlflow.pyfunc.load_model(sys.argv[1], model_config={"with_hvg": True})
frame, params = pd.read_json(sys.argv[2]), {"task": "cell_embeddings", "subset_hvg": 30}
before = set(sys.modules)
assert {"scanpy", "skmisc.loess"} <= before
for flavor in ("cell_ranger", "seurat_v3", "seurat"):
    rows = model.predict(frame, params={**params, "hvg_flavor": flavor})
    assert f"({flavor}): " in rows["applied_steps"][0][0], rows
late = {name.partition(".")[0] for name in set(sys.modules) - before}
assert not late & {"scanpy", "skmisc", "sklearn", "statsmodels", "numba", "anndata", "scipy"}, late
try:
    model.predict(frame[:1].assign(adata_sparsematrix=[[[1] * 60]], adata_obs=None), params=params)
except mlflow.exceptions.MlflowException as error:
    assert "[hvg_failed]" in str(error), error
else:
    raise AssertionError("variable genes were found in one cell")
"""


def test_what_variable_genes_need_is_imported_before_the_first_request(
    logged: Path, tmp_path: Path
) -> None:
    counts = sparse.csr_matrix(make_counts(60, 60, seed=4))
    pyfunc.guide_frame(counts, GENES[:60]).to_json(tmp_path / "cells.json")
    given = [str(logged), str(tmp_path / "cells.json")]
    command = [sys.executable, "-c", _LOADED_WITH_HVG, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
