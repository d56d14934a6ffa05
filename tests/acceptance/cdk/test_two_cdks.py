"""The stacks under the CDK of today and under its maintained fork: the same Terraform.

``make cdktn`` installs the fork into an environment of its own; without it there is nothing to
compare.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.infra import layout, release, settings
from tests.unit.infra.manifests import canary
from tests.unit.infra.provider_schema import mistakes
from tests.unit.infra.synthesis import FULL

FORK = layout.ROOT / ".cdktn" / "bin" / "python"

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.skipif(not FORK.exists(), reason="no .cdktn: `make cdktn` installs it"),
]


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All environments of the repository and one that declares everything, with a canary each."""
    folder = tmp_path_factory.mktemp("environments")
    for name in settings.known(layout.ENVIRONMENTS):
        shutil.copy(layout.ENVIRONMENTS / f"{name}.toml", folder)
    (folder / "lab.toml").write_text(FULL)
    (folder / "five.toml").write_text(
        'catalog = "five"\n[workspace]\nhost = "https://5.5.gcp.databricks.com"\n'
        '[state]\nbackend = "gcs"\nbucket = "b"\n'
    )
    for name in settings.known(folder):
        loaded = settings.load(name, folder)
        release.write(loaded.manifest_path, canary(loaded))
    return folder


def synthesise(python: Path, environments: Path) -> dict[str, dict[str, Any]]:
    """Stack -> its Terraform JSON."""
    out = environments / f"out{python.parts[-3]}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SCGPT_", "CDKTF_"))}
    done = subprocess.run(
        [python, "-m", "scgpt_databricks.infra.main"],
        cwd=layout.ROOT,
        env={**kept, "SCGPT_ENVIRONMENTS": str(environments), "CDKTF_OUTDIR": str(out)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {p.parent.name: json.loads(p.read_text()) for p in out.glob("stacks/*/cdk.tf.json")}


def normalised(stack: dict[str, Any]) -> dict[str, Any]:
    """Without the CDK's own remarks and the version of the provider."""
    body = {key: value for key, value in stack.items() if key != "//"}
    for resources in body["resource"].values():
        for block in resources.values():
            block.pop("//")
    body["terraform"]["required_providers"]["databricks"].pop("version")
    return body


def test_both_give_the_same_terraform(environments: Path) -> None:
    ours = synthesise(Path(sys.executable), environments)
    theirs = synthesise(FORK, environments)
    versions = {
        name: {
            stack["terraform"]["required_providers"]["databricks"]["version"]
            for stack in stacks.values()
        }
        for name, stacks in (("cdktf", ours), ("cdktn", theirs))
    }
    assert versions == {"cdktf": {"1.99.0"}, "cdktn": {"1.138.0"}}
    assert {name.split("-")[0] for name in ours} == set(settings.known(environments))
    assert {name: normalised(stack) for name, stack in ours.items()} == {
        name: normalised(stack) for name, stack in theirs.items()
    }
    assert [mistake for stack in theirs.values() for mistake in mistakes(stack)] == []
