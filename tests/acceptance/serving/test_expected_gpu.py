"""An endpoint that was promised a GPU, on a machine that has none, as `docs/gpu.md` tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.site import Site

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


def test_a_version_refuses_the_processor_and_says_why(
    tmp_path: Path, demo_checkpoints: Path
) -> None:
    site = Site(tmp_path / "site")
    settings = site.folder / "local.toml"
    text = settings.read_text()
    assert "require_gpu = false" in text
    try:
        site.start_workspace()
        site.succeed("deploy", "local")
        site.succeed("build", "local", "--checkpoint", demo_checkpoints / "checkpoint")
        site.succeed("deploy", "local")
        settings.write_text(text.replace("require_gpu = false", "require_gpu = true"))
        refused = site.scgpt("deploy", "local")
        assert refused.code == 1
        assert "UPDATE_FAILED" in refused.err
        told = site.scgpt("status", "local", "--logs", "40")
        assert told.code == 1
        assert "a GPU is expected here (SCGPT_EXPECTS_GPU is true)" in told.out
        assert "there is no NVIDIA driver here" in told.out
    finally:
        site.stop_workspace()
