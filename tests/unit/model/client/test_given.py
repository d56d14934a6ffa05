"""The client takes what people write; what it cannot take gets a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scgpt_databricks.model.client import Endpoint, embed, gene_table
from scgpt_databricks.model.client.batch_inference import batch_inference
from scgpt_databricks.model.errors import InvalidRequest
from tests.unit.model.served import GENES, Answer, Server, cells


@pytest.fixture
def by_variables(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same server, found as the Databricks SDK finds a workspace."""
    monkeypatch.setenv("DATABRICKS_HOST", server.endpoint.host)
    monkeypatch.setenv("DATABRICKS_TOKEN", "of-the-shell")
    monkeypatch.delenv("DATABRICKS_CONFIG_PROFILE", raising=False)
    return server


def test_an_endpoint_by_its_name(by_variables: Server) -> None:
    adata = cells(7)
    embed(adata, "e")
    np.testing.assert_array_equal(adata.obsm["X_scGPT"][:, 0], np.arange(7) + 1)
    assert adata.uns["scgpt"]["endpoint"] == "e"
    assert by_variables.headers[0]["Authorization"] == "Bearer of-the-shell"
    embed(adata, by_variables.endpoint.url)
    assert len(by_variables.requests) == 2


def test_params_by_their_own_names(server: Server) -> None:
    embed(cells(), server.endpoint, min_known_fraction=0, params={"ties": "spread"})
    (request,) = server.requests
    assert request["params"]["min_known_fraction"] == 0
    assert request["params"]["ties"] == "spread"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 1, "params": {"seed": 2}}, "seed stands in params and beside it; give it once."),
        ({"min_know_fraction": 0}, "min_know_fraction: no such param"),
        ({"params": {None: 1}}, "None: no such param"),
        ({"min_known_fraction": 2}, "min_known_fraction is 2"),
        ({"params": ["seed"]}, "params is of type list; it must be a dict."),
        ({"progress": "bar"}, "progress is 'bar'; it must be True, or a function"),
    ],
)
def test_options_that_are_none(server: Server, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        embed(cells(), server.endpoint, **options)
    assert said in caught.value.message
    assert server.requests == []


@pytest.mark.parametrize("endpoint", [None, 7, "", b"e", {"name": "e"}])
def test_other_things_than_endpoints_get_a_sentence(endpoint: Any) -> None:
    for ask in (
        lambda: embed(cells(), endpoint),
        lambda: gene_table(endpoint),
        lambda: batch_inference(endpoint, [cells()]),
    ):
        with pytest.raises(InvalidRequest, match="give its name, the URL of its invocations, or"):
            ask()


@pytest.mark.parametrize("adata", ["pbmc.h5ad", None, np.eye(3), [cells()]])
def test_other_things_than_cells_get_a_sentence(server: Server, adata: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"adata is of type \w+; give an AnnData"):
        embed(adata, server.endpoint)
    assert server.requests == []


@pytest.mark.parametrize("data", ["pbmc.h5ad", [cells(), "pbmc.h5ad"], [None], 7, None])
def test_a_list_of_anndata_is_just_that(server: Server, data: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"data_list .*AnnData"):
        batch_inference(server.endpoint, data)
    assert server.requests == []


def test_progress_is_shown_when_asked_for(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    embed(cells(7), server.endpoint, chunk=3, progress=True)
    shown = capsys.readouterr()
    assert (shown.out, shown.err.split("\r")[1:]) == (
        "",
        ["3 of 7 cells embedded", "6 of 7 cells embedded", "7 of 7 cells embedded\n"],
    )
    embed(cells(7), server.endpoint, progress=False)
    assert capsys.readouterr().err == ""


def test_genes_by_position(server: Server) -> None:
    asked: list[Any] = []

    def refuse(body: dict[str, Any]) -> Answer:
        asked.append(body["params"]["genes"])
        return 400, {"message": "[unknown_genes] none of them is known."}

    server.answer = refuse
    with pytest.raises(InvalidRequest, match="none of them is known"):
        gene_table(server.endpoint, np.array(GENES[:2]))
    assert asked == [GENES[:2]]
    for genes in (3, "CD3D"):
        with pytest.raises(InvalidRequest, match="must be a list of names"):
            gene_table(server.endpoint, genes)  # type: ignore[arg-type]
    assert isinstance(server.endpoint, Endpoint)
