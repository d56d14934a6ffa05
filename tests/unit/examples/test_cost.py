"""The figures of ``python -m examples.cost`` follow size, manifest and price."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.cost import main
from scgpt_databricks.infra import release, settings
from tests.unit.infra.manifests import canary
from tests.unit.infra.toml_files import FIVE_LINES, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCGPT_ENVIRONMENTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("endpoint", "said", "cost"),
    [
        ("", "GPU_SMALL, 1 to 1 replicas", "200.00 to 200.00"),
        ('workload_size = "Medium"', "GPU_SMALL, 2 to 4 replicas", "400.00 to 800.00"),
        ('workload_size = "Large"', "GPU_SMALL, 4 to 16 replicas", "800.00 to 3200.00"),
        (
            'size = "medium"\nprovisioned_concurrency = { min = 8, max = 24 }',
            "GPU_MEDIUM, 2 to 6 replicas",
            "400.00 to 1200.00",
        ),
        ('size = "cpu"', "CPU, 4 to 4 requests at a time", "800.00 to 800.00"),
    ],
)
def test_replicas_times_hours_times_price(
    endpoint: str, said: str, cost: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, f"{FIVE_LINES}\n[endpoint]\n{endpoint}\n")
    main(["dev", "--price", "2", "--hours", "100"])
    assert capsys.readouterr().out == (
        f"dev: {said} for each of 1 served versions\nper month of 100 hours: {cost}\n"
    )


def test_each_served_version_has_replicas_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, FIVE_LINES)
    loaded = settings.load("dev")
    release.write(loaded.manifest_path, canary(loaded))
    main(["dev", "--price", "2", "--hours", "100"])
    assert "each of 2 served versions\nper month of 100 hours: 400.00" in capsys.readouterr().out
