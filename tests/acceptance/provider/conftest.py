"""One stub workspace and one Terraform folder per test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.local_workspace.stand_in_provider.mirror import VERSION, write_mirror
from tests.acceptance.provider.workspace_stub import TOKEN, Workspace, serve

PROVIDER = {"databricks": {"source": "databricks/databricks", "version": VERSION}}


@dataclass
class Terraform:
    """Real Terraform in a folder of its own, with the stand-in as its only provider."""

    folder: Path
    environment: dict[str, str]
    outputs: list[str] = field(default_factory=list)

    def write(self, resources: dict[str, Any], **provider: Any) -> None:
        content = {
            "terraform": {"required_providers": PROVIDER},
            "provider": {"databricks": [provider]},
            "resource": resources,
        }
        (self.folder / "main.tf.json").write_text(json.dumps(content))

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command; what it printed. Its exit code must be `code`."""
        command = ["terraform", *arguments]
        result = subprocess.run(
            [*command, "-no-color"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        text = result.stdout + result.stderr
        self.outputs.append(text)
        assert result.returncode == code, f"{' '.join(command)} gave {result.returncode}:\n{text}"
        return " ".join(text.replace("│", " ").split())

    def apply(self, code: int = 0) -> str:
        return self.run("apply", "-auto-approve", code=code)

    def changes(self, code: int) -> str:
        """A plan; 0 means that it is empty, 2 that it is not."""
        return self.run("plan", "-detailed-exitcode", code=code)

    def state(self) -> dict[str, Any]:
        """Resources in state: address -> instance."""
        content = json.loads((self.folder / "terraform.tfstate").read_text())
        return {f"{r['type']}.{r['name']}": r["instances"][0] for r in content["resources"]}


@pytest.fixture
def workspace() -> Workspace:
    return Workspace()


@pytest.fixture
def terraform(tmp_path: Path, workspace: Workspace) -> Iterator[Terraform]:
    server = serve(workspace)
    terraformrc = write_mirror(tmp_path / "terraform", Path(sys.executable)).terraformrc
    folder = tmp_path / "stack"
    folder.mkdir()
    kept = ("PATH", "HOME", "TMPDIR")
    environment = {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "TF_CLI_CONFIG_FILE": str(terraformrc),
        "CHECKPOINT_DISABLE": "1",
        "DATABRICKS_HOST": f"http://127.0.0.1:{server.server_address[1]}",
        "DATABRICKS_TOKEN": TOKEN,
        "DATABRICKS_CONFIG_FILE": "/dev/null",
    }
    yield Terraform(folder, environment)
    server.shutdown()
    server.server_close()
