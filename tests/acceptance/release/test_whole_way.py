"""Three checkpoints on their way through three catalogs, while users send all the time.

The first is released. The second wins its canary. The third answers as quickly, with numbers that
are off: a gate stops it, and after a person waived the gate, the canary rolls it back by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from anndata import AnnData

from scgpt_databricks.model.scgpt.demo import copy_shipped, pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.scripts.monitoring.metrics import read
from tests.acceptance.release.environments import MODEL, three, traffic, users
from tests.acceptance.site import Done, Site
from tests.variants import reverse_dimensions, swap_queries_and_keys

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(5400)]

WAIVED = ("--waive", "metrics", "--waive", "likeness", "--why", "to see that the canary finds it")
CHUNKS = (100, 4, 4)
"""Three sizes over two versions in turn: both versions get data sets of each size."""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The trained one, one of other weights that is as good, and a broken one of those."""
    folder = tmp_path_factory.mktemp("checkpoints")
    first = copy_shipped(folder / "first")
    second, third = (Path(shutil.copytree(first, folder / name)) for name in ("second", "third"))
    reverse_dimensions(second)
    reverse_dimensions(third)
    swap_queries_and_keys(third)
    return first, second, third


@pytest.fixture(scope="module")
def cells() -> AnnData:
    return pbmc_cells()[: max(CHUNKS)].copy()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # The machine of the tests is busy, and nothing here is about latency.
    free = "approval = false\nslowdown = 3"
    site = three(tmp_path_factory.mktemp("whole-way"), staging=free, prod=free)
    try:
        yield site
    finally:
        site.stop_workspace()


def test_one_wins_and_one_that_is_subtly_broken_comes_nowhere(
    site: Site, cells: AnnData, checkpoints: tuple[Path, Path, Path]
) -> None:
    first, second, third = checkpoints
    build(site, first)
    promote(site, "dev", "staging")
    promote(site, "staging", "prod")
    site.succeed("deploy", "prod", limit_s=600)
    with users(site, "scgpt-prod", cells, CHUNKS) as sender:
        wins(site, second)
        is_stopped(site, third)
        is_rolled_back(site)
    assert sender.errors == []
    assert server_errors(site) == 0, "a client's second try does not excuse them"
    models = [Embedder.load(each) for each in checkpoints]
    expected = {m.digest: _embedded(m, cells) for m in models}
    assert sender.mixed(expected) == []
    digests = {each.digest for each in sender.results if each.chunks == 100}
    assert digests >= {models[0].digest, models[1].digest}
    assert [each["operation"] for each in history(site)] == [
        "promote",  # the first
        *("promote", "canary start", "canary promote"),
        *("promote", "canary start", "canary abort"),
    ]


def build(site: Site, checkpoint: Path) -> None:
    """Build and release in dev, validated in a clean environment."""
    origin = ("--licence", "MIT", "--provenance", "made for this test")
    site.succeed("build", "dev", "--checkpoint", checkpoint, *origin, "--release", limit_s=600)


def promote(site: Site, source: str, target: str, *options: str) -> None:
    site.succeed("promote", source, target, *options, limit_s=600)


def canary(site: Site, *, share: int) -> Done:
    """Promote what staging has as a challenger of prod, deploy it beside the champion, watch it."""
    site.succeed("canary", "start", "prod", "--percent", str(share), "--requests-per-day", "4000")
    site.succeed("deploy", "prod", limit_s=600)
    looks = ("--every", "1", "--for", "5", "--accept-below", "0.05", "--json")
    return site.scgpt("canary", "watch", "prod", *looks, limit_s=600)


def wins(site: Site, checkpoint: Path) -> None:
    build(site, checkpoint)
    promote(site, "dev", "staging")
    promote(site, "staging", "prod", "--challenger")
    done = canary(site, share=50)
    assert done.code == 0, done.out + done.err
    assert done.json["requests"][f"{MODEL}-2"] >= 60
    assert set(done.json["errors"].values()) == {0}
    assert any("New embedding space" in each for each in done.json["likeness"])
    site.succeed("canary", "promote", "prod", "--why", "no worse")
    site.succeed("deploy", "prod", limit_s=600)
    assert traffic(site, "scgpt-prod") == {f"{MODEL}-1": 0, f"{MODEL}-2": 100}


def is_stopped(site: Site, checkpoint: Path) -> None:
    build(site, checkpoint)
    before = (site.folder / "staging.release.json").read_bytes()
    refused = site.scgpt("promote", "dev", "staging", limit_s=600)
    assert refused.code == 3
    assert "likeness: " in refused.err
    assert "nothing was copied" in refused.err
    assert (site.folder / "staging.release.json").read_bytes() == before


def is_rolled_back(site: Site) -> None:
    promote(site, "dev", "staging", *WAIVED)
    promote(site, "staging", "prod", "--challenger", *WAIVED)
    done = canary(site, share=20)
    assert done.code == 3, done.out + done.err
    assert done.json["decision"] == "roll back"
    assert "neighbours of the same type" in done.json["reason"]
    assert traffic(site, "scgpt-prod")[f"{MODEL}-3"] == 0, "at once, before any deploy"
    site.succeed("deploy", "prod", limit_s=600)
    assert traffic(site, "scgpt-prod") == {f"{MODEL}-1": 0, f"{MODEL}-2": 100}
    why = history(site)[-1]["why"]
    assert "neighbours of the same type" in why


def history(site: Site) -> list[dict[str, str]]:
    found: list[dict[str, str]] = site.succeed("history", "prod", "--json").json["history"]
    return [each for each in found if each["state"] == "done"]


def server_errors(site: Site) -> float:
    """Count the errors of prod's endpoint, by its metrics."""
    address = f"{site.url}/api/2.0/serving-endpoints/scgpt-prod/metrics"
    headers = {"Authorization": f"Bearer {site.token()}"}
    answer = requests.get(address, headers=headers, timeout=60)
    answer.raise_for_status()
    return sum(each.value for each in read(answer.text) if "5xx" in each.name)


def _embedded(model: Embedder, cells: AnnData) -> np.ndarray:
    return model.embed_cells(cells.X, list(cells.var_names)).embeddings
