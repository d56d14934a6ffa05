"""A place where `scgpt` runs as a user runs it, apart from every other: an environments folder of
its own, in which everything that runs make lies too.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from scgpt_databricks.infra.layout import ENVIRONMENTS, ROOT

SCGPT = Path(sys.executable).parent / "scgpt"
LIMIT_S = 300


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Site:
    """An environments folder with a copy of the repository's `local.toml`."""

    folder: Path
    port: int = field(default_factory=lambda: free_port())

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ENVIRONMENTS / "local.toml", self.folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def manifest(self) -> Path:
        return self.folder / "local.release.json"

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of a shell here; none points to another workspace."""
        foreign = ("DATABRICKS_", "MLFLOW_", "SCGPT_ENVIRONMENT")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = os.pathsep.join([str(SCGPT.parent), kept["PATH"]])
        return {**kept, "PATH": path, "SCGPT_ENVIRONMENTS": str(self.folder)}

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """`scgpt` in the background, in a process group of its own."""
        return subprocess.Popen(
            [SCGPT, *arguments],
            cwd=ROOT,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def scgpt(self, *arguments: str | Path, limit_s: float = LIMIT_S) -> Done:
        """Run `scgpt`. Whatever it does, it never prints a token and never a traceback."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=limit_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        done = Done(process.returncode, out, err)
        self.check_silence(done.out + done.err)
        assert "Traceback" not in done.err, done.err
        assert "https://docs.databricks.com" not in done.err, "mlflow advertises"
        return done

    def succeed(self, *arguments: str | Path, limit_s: float = LIMIT_S) -> Done:
        done = self.scgpt(*arguments, limit_s=limit_s)
        assert done.code == 0, f"scgpt {arguments}: {done.code}\n{done.out}\n{done.err}"
        return done

    def token(self, profile: str = "local") -> str:
        profiles = configparser.ConfigParser()
        profiles.read(self.folder / "databrickscfg")
        return profiles.get(profile, "token")

    def check_silence(self, text: str) -> None:
        profiles = configparser.ConfigParser()
        profiles.read(self.folder / "databrickscfg")  # none before the workspace was started
        for name, profile in profiles.items():
            for key in ("token", "client_secret"):
                assert profile.get(key, fallback="\0") not in text, f"{key} of {name} was printed"

    def control(self, method: str, path: str, /, **body: Any) -> dict[str, Any]:
        """A control route of the workspace, as admin."""
        return self.api(method, f"/_local/{path}", **body)

    def api(self, method: str, path: str, /, **body: Any) -> dict[str, Any]:
        answer = requests.request(
            method,
            self.url + path,
            json=body or None,
            headers={"Authorization": f"Bearer {self.token()}"},
            timeout=60,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def status(self) -> dict[str, Any]:
        folder = str(self.folder / "workspace")
        return self.scgpt("workspace", "status", "--folder", folder, "--json").json

    def start_workspace(self) -> None:
        folder = str(self.folder / "workspace")
        self.succeed("workspace", "start", "--folder", folder, "--port", str(self.port))

    def stop_workspace(self) -> None:
        folder = str(self.folder / "workspace")
        self.succeed("workspace", "stop", "--quiet", "--folder", folder)

    def kill_workspace(self) -> None:
        """SIGKILL: no chance to tidy up. Returns when the process is gone."""
        status = self.status()
        os.kill(status["pid"], signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{status['pid']}").exists() or self._is_zombie(status))

    def _is_zombie(self, status: dict[str, Any]) -> bool:
        return "State:\tZ" in Path(f"/proc/{status['pid']}/status").read_text()

    def versions(self) -> list[dict[str, Any]]:
        """All versions of the model, whatever their status."""
        model = "main.scgpt.scgpt_gene_embeddings"
        found = self.api("GET", f"/api/2.1/unity-catalog/models/{model}/versions")
        versions: list[dict[str, Any]] = found.get("model_versions", [])
        return versions

    def copy(self, folder: Path, *, profile: str = "local", token: str | None = None) -> Site:
        """The same workspace as somebody else meets it: another profile, another token."""
        other = Site(folder, self.port)
        toml = folder / "local.toml"
        toml.write_text(toml.read_text().replace('profile = "local"', f'profile = "{profile}"'))
        config = (self.folder / "databrickscfg").read_text()
        (folder / "databrickscfg").write_text(
            config.replace(self.token(profile), token) if token else config
        )
        return other


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
