"""The torch that an endpoint serves with, and the GPUs that its build knows."""

from __future__ import annotations

from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest

from scgpt_databricks.infra import settings, torches
from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.infra.sizes import TYPES
from tests.unit.infra.toml_files import FIVE_LINES, problems, write


def test_the_default_finds_a_gpu_under_drivers_of_cuda_12(tmp_path: Path) -> None:
    torch = settings.load("dev", write(tmp_path, FIVE_LINES)).torch
    assert torch == torches.DEFAULT
    assert torches.BUILDS[torches.DEFAULT].cuda.startswith("12.")


def test_a_local_workspace_serves_with_what_is_installed(tmp_path: Path) -> None:
    local = FIVE_LINES.replace('host = "https://dbc-9.cloud.databricks.com"', "local = true")
    assert settings.load("dev", write(tmp_path, local)).torch is None
    chosen = local + '[endpoint]\ntorch = "2.8.0"\n'
    assert settings.load("dev", write(tmp_path, chosen)).torch == "2.8.0"


def test_the_installed_torch_may_be_served() -> None:
    assert version("torch").split("+")[0] in torches.BUILDS


def test_releases_are_in_order_and_the_oldest_comes_first() -> None:
    numbers = [tuple(map(int, name.split("."))) for name in torches.BUILDS]
    assert all(one < other for one, other in pairwise(numbers))
    assert next(iter(torches.BUILDS)) == torches.OLDEST


def test_every_gpu_of_a_cloud_runs_every_release() -> None:
    for kind in {kind for kinds in TYPES.values() for kind in kinds} - {"CPU"}:
        for release in torches.BUILDS:
            torches.check_gpu(release, kind)


@pytest.mark.parametrize(
    ("release", "capability", "runs"),
    [
        ("2.7.1", "7.5", True),
        ("2.7.1", "8.9", True),  # an L4 takes code for 8.6
        ("2.7.1", "10.0", False),
        ("2.7.1", "12.0", False),
        ("2.8.0", "7.0", True),
        ("2.8.0", "10.0", True),
        ("2.11.0", "7.0", False),
        ("2.15.0", "6.1", False),
    ],
)
def test_a_gpu_takes_code_of_its_own_major_version(
    release: str, capability: str, runs: bool
) -> None:
    assert torches.has_code(torches.BUILDS[release], capability) is runs


def test_a_build_without_code_for_the_gpu_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(torches.GPUS, "GPU_SMALL", ("B200", "10.0"))
    (_, line) = problems(tmp_path, FIVE_LINES)
    said = "torch 2.7.1 is built for CUDA 12.6 and has no code for the B200 of GPU_SMALL"
    assert said in line
    assert "choose 2.8.0, 2.9.0" in line
    settings.load("dev", write(tmp_path, FIVE_LINES + '[endpoint]\ntorch = "2.8.0"\n'))


def test_the_page_has_the_tables() -> None:
    page = (ROOT / "docs" / "gpu.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    told = {row[0]: row[1:] for row in rows}
    builds = {
        name: [build.cuda, build.driver, " ".join(build.capabilities)]
        for names, *_ in rows
        for name in names.split(", ")
        if (build := torches.BUILDS.get(name))
    }
    assert list(builds) == list(torches.BUILDS)
    for names, facts in told.items():
        for name in names.split(", "):
            if name in torches.BUILDS:
                assert facts == builds[name]
            elif name in torches.GPUS:
                assert tuple(facts[:2]) == torches.GPUS[name]
