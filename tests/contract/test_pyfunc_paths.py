"""``input_data_path`` over MLflow's server, and the guide's helpers in a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import h5py
import mlflow
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model import pyfunc
from scgpt_databricks.model.cells.h5ad import read_cells
from scgpt_databricks.model.errors import CheckpointError, InvalidRequest
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.serve.volumes import VOLUMES, allowed_file, check_prefixes
from scgpt_databricks.model.wire.codec import encode_cells
from tests.contract.asking import code_of, send
from tests.contract.conftest import Server
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(5, 12, seed=6))
SOME = GENES[:12]
EMPTY: dict[str, Any] = {"packed": None}
CELLS = {"task": "cell_embeddings"}


def adata() -> anndata.AnnData:
    found = anndata.AnnData(COUNTS)
    found.var_names, found.obs_names = SOME, [f"c{i}" for i in range(5)]
    found.obs["type"] = list("BTBTB")
    return found


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A folder that may be read from, beside one that may not."""
    for name in ("open", "open-too", "closed"):
        (tmp_path / name).mkdir()
        adata().write_h5ad(tmp_path / name / "cells.h5ad")
    return tmp_path / "open"


@pytest.fixture
def opened(
    server: Server,
    loaded: mlflow.pyfunc.PyFuncModel,
    volume: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Server:
    """The server with that folder allowed; there is no ``/Volumes`` on a laptop."""
    monkeypatch.setattr(loaded.unwrap_python_model(), "folders", (volume,))
    return server


def ask(server: Server, path: Path | str, **params: Any) -> Any:
    return send(server, EMPTY, {**CELLS, **params, "input_data_path": str(path)})


def test_no_path_is_read_unless_folders_were_configured(server: Server, volume: Path) -> None:
    assert code_of(ask(server, volume / "cells.h5ad")) == "path_not_allowed"


def test_an_allowed_file_is_answered_like_its_cells(
    opened: Server, volume: Path, embedder: Embedder
) -> None:
    lines = ask(opened, volume / "cells.h5ad").json()["predictions"]
    assert [line["id"] for line in lines] == list(adata().obs_names)
    wanted = embedder.embed_cells(COUNTS, SOME).embeddings
    np.testing.assert_allclose([line["embedding"] for line in lines], wanted, atol=1e-6)
    task = {"task": "contextual_gene_embeddings", "group_by": "type"}
    groups = ask(opened, volume / "cells.h5ad", **task).json()["predictions"]
    assert [(g["group"], g["cells"]) for g in groups] == [("B", 3), ("T", 2)]


def test_need_preprocess_false_with_a_path_takes_the_data_as_they_are(
    opened: Server, volume: Path
) -> None:
    params = {"task": "gene_embeddings", "need_preprocess": False}
    (line,) = ask(opened, volume / "cells.h5ad", **params).json()["predictions"]
    assert list(line["gene_embeddings"]) == SOME


def test_what_leads_outside_is_refused(opened: Server, volume: Path) -> None:
    (volume / "link.h5ad").symlink_to(volume.parent / "closed" / "cells.h5ad")
    (volume / "folder").symlink_to(volume.parent / "closed")
    for path in (
        volume.parent / "closed" / "cells.h5ad",
        volume.parent / "open-too" / "cells.h5ad",
        f"{volume}/../closed/cells.h5ad",
        volume / "link.h5ad",
        volume / "folder" / "cells.h5ad",
        volume,
        "cells.h5ad",
        "/etc/passwd",
        "\0",
    ):
        assert code_of(ask(opened, path)) == "path_not_allowed", path


def test_files_that_are_none(opened: Server, volume: Path) -> None:
    (volume / "text.h5ad").write_text("no HDF5")
    (volume / "cells.csv").write_text("a,b")
    with h5py.File(volume / "empty.h5ad", "w"):
        pass
    with h5py.File(volume / "linked.h5ad", "w") as file:
        file["X"] = h5py.ExternalLink(str(volume.parent / "closed" / "cells.h5ad"), "X")
    with h5py.File(volume / "stored.h5ad", "w") as file:
        file.create_dataset("X", (2, 2), "f4", external=[("/etc/passwd", 0, 16)])
    layout = h5py.VirtualLayout((5,), "f4")
    layout[:] = h5py.VirtualSource(volume.parent / "closed" / "cells.h5ad", "X/data", (5,))
    with h5py.File(volume / "virtual.h5ad", "w") as file:
        file.create_virtual_dataset("X", layout)
    assert code_of(ask(opened, volume / "nothing.h5ad")) == "no_such_file"
    assert code_of(ask(opened, volume / "cells.csv")) == "no_such_file"
    (volume / "round.h5ad").symlink_to(volume / "round.h5ad")
    for name in ("round.h5ad", f"{'long' * 100}.h5ad", "a/" * 3000 + "b.h5ad", "cells.h5ad/x.h5ad"):
        assert code_of(ask(opened, volume / name)) == "no_such_file", name
    for name in ("text", "empty", "linked", "stored", "virtual"):
        assert code_of(ask(opened, volume / f"{name}.h5ad")) == "invalid_file", name
    for name in ("linked", "stored", "virtual"):
        assert "link to another file" in ask(opened, volume / f"{name}.h5ad").json()["message"]


def test_a_path_and_columns_are_two_forms(opened: Server, volume: Path) -> None:
    frame = pyfunc.guide_frame(COUNTS, SOME).iloc[0].to_dict()
    params = {**CELLS, "input_data_path": str(volume / "cells.h5ad")}
    assert code_of(send(opened, frame, params)) == "two_forms"


def test_a_file_larger_than_a_row_may_be(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scgpt_databricks.model.cells.checks.MAX_CELLS", 4)
    with pytest.raises(InvalidRequest, match="5 cells in the file; 4 are allowed"):
        read_cells(allowed_file(str(volume / "cells.h5ad"), [volume]))


@pytest.mark.parametrize("prefix", ["/", "/tmp", "/Volumes", "Volumes/a", "/Volumes/../etc"])
def test_prefixes_lie_below_volumes(prefix: str) -> None:
    with pytest.raises(CheckpointError, match="allowed_path_prefixes"):
        check_prefixes([prefix])
    assert check_prefixes(["/Volumes/main/scgpt"]) == (VOLUMES / "main/scgpt",)


def test_prefixes_come_from_the_model_config(checkpoint: Path, entry: Path, tmp_path: Path) -> None:
    mlflow.pyfunc.save_model(
        tmp_path / "logged",
        python_model=str(entry),
        artifacts={"checkpoint": str(checkpoint)},
        signature=pyfunc.signature(),
        pip_requirements=["mlflow"],
        model_config={"device": "cpu", "allowed_path_prefixes": ["/Volumes/main/x"]},
    )
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "logged")).unwrap_python_model()
    assert loaded.folders == (Path("/Volumes/main/x"),)


@pytest.mark.parametrize("source", ["frame", "path"])
def test_notebook_helpers_of_the_guide(
    loaded: mlflow.pyfunc.PyFuncModel, volume: Path, source: str
) -> None:
    model = loaded.unwrap_python_model()
    frame = pyfunc.guide_frame(COUNTS, SOME) if source == "frame" else None
    path = str(volume / "cells.h5ad") if source == "path" else None
    least = int(np.sort(COUNTS.sum(axis=0).A1)[6])
    data = model.preprocess(None, path, frame, True, {"filter_gene_by_counts": least})
    kept = [g for g, n in zip(SOME, COUNTS.sum(axis=0).A1, strict=True) if n >= least]
    assert list(data.var_names) == kept
    assert data.n_obs == 5
    assert data.uns["applied_steps"][0].startswith("filter_gene_by_counts")
    whole = loaded.predict(pyfunc.guide_frame(COUNTS, SOME), params={"need_preprocess": False}).loc[
        0, "gene_embeddings"
    ]
    found = model.filter(whole, data)
    assert list(found) == kept
    assert all(found[gene] == whole[gene] for gene in kept)


TABLE = pd.DataFrame(
    {"final_annotation": ["B", None, "T", "T", "B"], "batch": list("11212"), "n": range(5)},
    index=["a", "b", "a", "c", "d"],  # names of cells may repeat
)
SYMBOLS = pd.DataFrame({"id": [f"ENSG{i}" for i in range(12)]}, index=SOME)


def _sent_as(form: str, folder: Path) -> tuple[str | None, pd.DataFrame | None]:
    obs: Any = TABLE.to_json(orient="split") if form == "serialisable" else TABLE
    var: Any = SYMBOLS.to_json(orient="split") if form == "serialisable" else SYMBOLS
    row = {"adata_sparsematrix": COUNTS, "adata_obs": obs, "adata_var": var}
    if form != "path":
        return None, pd.DataFrame({name: [value] for name, value in row.items()})
    written = anndata.AnnData(COUNTS, TABLE, SYMBOLS, obsm={"X_pca": np.ones((5, 2))})
    written.write_h5ad(folder / "table.h5ad")
    return str(folder / "table.h5ad"), None


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize("form", ["path", "direct", "serialisable"])
def test_a_notebook_keeps_what_belongs_to_the_cells_and_genes(
    loaded: mlflow.pyfunc.PyFuncModel, volume: Path, form: str
) -> None:
    columns = COUNTS.sum(axis=0).A1 >= 5
    totals = COUNTS.toarray()[:, columns].sum(axis=1)
    least = float(np.sort(totals)[2])
    rows = np.flatnonzero(totals >= least)
    params = {"min_counts_per_cell": least, "filter_gene_by_counts": 5}
    model = loaded.unwrap_python_model()
    data = model.preprocess(None, *_sent_as(form, volume), params=params)
    np.testing.assert_array_equal(data.X.toarray(), COUNTS.toarray()[rows][:, columns])
    kept = TABLE.iloc[rows]
    assert list(data.obs_names) == list(kept.index)
    assert data.obs["final_annotation"].astype(object).replace(np.nan, None).tolist() == (
        kept["final_annotation"].tolist()
    )
    assert data.obs["n"].tolist() == kept["n"].tolist()
    assert data.var["id"].tolist() == SYMBOLS["id"][columns].tolist()
    assert list(data.obsm) == (["X_pca"] if form == "path" else [])
    assert len(data.uns["applied_steps"]) == 2


def test_a_notebook_takes_packed_cells_too(loaded: mlflow.pyfunc.PyFuncModel) -> None:
    frame = pd.DataFrame({"packed": [encode_cells(COUNTS, SOME, None, {"type": list("BTBTB")})]})
    data = loaded.unwrap_python_model().preprocess(None, None, frame)
    assert (data.shape, list(data.obs["type"])) == ((5, 12), list("BTBTB"))


def test_the_guides_class_by_its_name_and_argument(
    checkpoint: Path, embedder: Embedder, tmp_path: Path
) -> None:
    tokens = ["<pad>", "<cls>", "<eoc>"]
    mlflow.pyfunc.save_model(
        tmp_path / "logged",
        python_model=pyfunc.TransformerModelWrapper(special_tokens=tokens),
        artifacts={
            "model_file": str(checkpoint / "best_model.pt"),
            "model_config_file": str(checkpoint / "args.json"),
            "vocab_file": str(checkpoint / "vocab.json"),
        },
        signature=pyfunc.signature(),
        pip_requirements=["mlflow"],
    )
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "logged"))
    (line,) = loaded.predict(pyfunc.guide_frame(COUNTS, SOME)).to_dict("records")
    assert line["model_digest"] == embedder.digest
    assert list(line["gene_embeddings"]) == SOME
    with pytest.raises(CheckpointError, match="special_tokens"):
        pyfunc.TransformerModelWrapper(special_tokens=["<pad>"])


def test_raw_data_may_be_said_either_way(loaded: mlflow.pyfunc.PyFuncModel) -> None:
    model, frame = loaded.unwrap_python_model(), pyfunc.guide_frame(COUNTS, SOME)
    params = {"subset_hvg": 1200}
    for said in (
        model.preprocess(None, None, frame, True, params),
        model.preprocess(None, None, frame, params={**params, "data_is_raw": True}),
    ):
        assert "seurat_v3" in said.uns["applied_steps"][0]


def test_a_notebook_gives_one_input(loaded: mlflow.pyfunc.PyFuncModel) -> None:
    model, frame = loaded.unwrap_python_model(), pyfunc.guide_frame(COUNTS, SOME)
    for arguments, code in (
        ((None, None), "no_form"),
        (("x.h5ad", frame), "two_forms"),
        ((None, pd.concat([frame, frame])), "one_row"),
        ((None, frame.drop(columns="adata_sparsematrix")), "no_cells"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            model.preprocess(None, *arguments)
        assert caught.value.code == code
