"""The wheel, installed where nothing else of the repository is."""

from __future__ import annotations

import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ENVIRONMENTS, ROOT
from tests.acceptance.package.conftest import Installed, install
from tests.acceptance.site import free_port
from tests.unit.model.served import cells, running

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
MOST_MEGABYTES = 400

EMBED = """
import sys
import anndata, numpy
from scgpt_databricks import Endpoint, __version__, embed, gene_table

adata = anndata.read_h5ad(sys.argv[2])
embed(adata, Endpoint("e", sys.argv[1], dict), chunk=3)
assert callable(gene_table)
print(numpy.__version__, __version__, *adata.obsm["X_scGPT"][:, 0].astype(int))
"""


@pytest.fixture(scope="module", params=["1.26.*", "2.*"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wheel: Path
) -> Installed:
    return install(tmp_path_factory.mktemp("client"), wheel, "", f"numpy=={request.param}")


def test_nothing_but_the_one_name_is_importable(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    info = f"scgpt_databricks-{VERSION}.dist-info"
    assert {name.split("/")[0] for name in names} == {"scgpt_databricks", info}
    endings = {Path(name).suffix for name in names if not name.startswith(info)}
    assert endings == {".json", ".pt", ".py", ".sql", ".toml", ".typed"}


def test_the_client_alone_is_small(client: Installed) -> None:
    sizes = client.files()
    megabytes = sum(sizes.values()) / 1e6
    print(f"{len(sizes)} files, {megabytes:.0f} MB")
    assert megabytes < MOST_MEGABYTES
    tops = {name.split("/")[0] for name in sizes}
    assert not tops & {
        "torch",
        "mlflow",
        "cdktf",
        "scanpy",
        "starlette",
        "infra",
        "scripts",
        "model",
    }


def test_cells_are_embedded_beside_modules_of_the_same_names(client: Installed) -> None:
    file, script = client.folder / "cells.h5ad", client.beside / "mine.py"
    cells().write_h5ad(file)
    script.write_text(EMBED)
    with running() as server:
        done = client.run(client.python, script, server.endpoint.host, file)
    assert done.code == 0, done.err
    numpy, version, *sums = done.out.split()
    assert version == VERSION
    assert (client.packages / f"numpy-{numpy}.dist-info").is_dir()
    assert sums == [str(n) for n in range(1, 8)]


def test_the_command_line_beside_modules_of_the_same_names(client: Installed) -> None:
    assert client.scgpt("--version").out == f"scgpt, version {VERSION}\n"
    helped = client.scgpt("--help")
    assert helped.code == 0
    assert "embed-file" in helped.out
    assert client.scgpt("embed", "--help").code == 0


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["smoke", "local"], "engine"),
        (["embed-file", "checkpoint", "cells.h5ad", "--out", "y"], "engine"),
        (["build", "local", "--checkpoint", "checkpoint"], "engine"),
        (["workspace", "start"], "workspace"),
        (["deploy", "local"], "deploy"),
    ],
)
def test_a_missing_extra_is_a_sentence(client: Installed, command: list[str], extra: str) -> None:
    done = client.scgpt(*command)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert done.err.endswith(f"pip install 'scgpt-databricks[{extra}]'\n")


def test_environments_are_asked_for(client: Installed) -> None:
    for command in (["environments"], ["verify", "prod"], ["env", "prod"]):
        done = client.scgpt(*command)
        assert (done.code, done.out) == (2, ""), command
        assert "set SCGPT_ENVIRONMENTS to the folder with the TOML files" in done.err
    done = client.scgpt("quickstart")
    assert done.code == 1
    assert "clone the repository" in done.err


def test_nothing_is_written_beside_the_code(client: Installed) -> None:
    before = client.files()
    environments = client.folder / "environments"
    environments.mkdir(exist_ok=True)
    shutil.copy(ENVIRONMENTS / "local.toml", environments)
    for command in (["environments", "--offline"], ["verify", "local"], ["provider"]):
        client.scgpt(*command, SCGPT_ENVIRONMENTS=str(environments))
        client.scgpt(*command)
    assert client.files() == before


def test_the_workspace_runs_from_any_folder(
    tmp_path_factory: pytest.TempPathFactory, wheel: Path
) -> None:
    folder = tmp_path_factory.mktemp("workspace")
    locked = ["--constraint", ROOT / "requirements.lock"]
    found = install(folder, wheel, "[workspace]", *locked)
    before = found.files()
    environments = {"SCGPT_ENVIRONMENTS": str(folder / "environments")}
    (folder / "environments").mkdir()
    shutil.copy(ENVIRONMENTS / "local.toml", folder / "environments")
    try:
        started = found.scgpt("workspace", "start", "--port", str(free_port()), **environments)
        assert started.code == 0, started.err
        status = found.scgpt("workspace", "status", "--json", **environments)
        assert status.json["state"] == "running"
        asked = found.scgpt("verify", "local", **environments)
        assert "differs from what is declared" in asked.err
    finally:
        found.scgpt("workspace", "stop", **environments)
    assert found.files() == before
    made = {path.name for path in (folder / "environments").iterdir()}
    assert made >= {"workspace", "databrickscfg"}
