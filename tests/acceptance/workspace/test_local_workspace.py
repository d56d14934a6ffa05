"""Real instances of the local workspace and unmodified clients."""

from __future__ import annotations

import configparser
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied, Unauthenticated

from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.local_workspace.server import instance
from scgpt_databricks.local_workspace.server.instance import (
    AlreadyRunning,
    Info,
    PortTaken,
    WorkspaceError,
)

pytestmark = pytest.mark.acceptance

SCHEMAS = "/api/2.1/unity-catalog/schemas"


def _profile(info: Info, name: str = "local") -> dict[str, str]:
    parser = configparser.ConfigParser()
    assert info.config is not None
    parser.read(info.config)
    return dict(parser[name])


def _call(info: Info, method: str, path: str, **more: Any) -> requests.Response:
    profile = _profile(info)
    headers = {"Authorization": f"Bearer {profile['token']}"}
    return requests.request(method, profile["host"] + path, headers=headers, timeout=30, **more)


def _sdk(info: Info, profile: str) -> WorkspaceClient:
    return WorkspaceClient(config_file=str(info.config), profile=profile)


def _round_trip(
    info: Info, profile: str, schema: str, mebibytes: int, *, native: bool = False
) -> dict[str, Any]:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("DATABRICKS_", "MLFLOW_"))},
        "DATABRICKS_CONFIG_FILE": str(info.config),
        "DATABRICKS_CONFIG_PROFILE": profile,
        "MLFLOW_TRACKING_URI": "databricks",
        "MLFLOW_REGISTRY_URI": "databricks-uc",
        "MLFLOW_ENABLE_UC_NATIVE_MODEL_REGISTRY": str(native).lower(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    script = Path(__file__).with_name("round_trip.py")
    done = subprocess.run(
        [sys.executable, str(script), schema, str(mebibytes)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def _expected(owner: str, schema: str) -> dict[str, Any]:
    return {
        "version": "1",
        "status": "READY",
        "tags": {"validated": "true"},
        "card": "a card",
        "tags_kept": [{"validated": "true"}] * 2,
        "model": [{"champion": "1"}, {"team": "bio"}],
        "searched": ["1"],
        "models": [f"main.{schema}.digest"],
        "same_model_id": True,
        "digest_kept": True,
        "aliases": ["champion"],
        "owner": owner,
        "versions": [1],
        "dictionary": {"a": 1},
        "runs": 1,
    }


def test_mlflow_and_sdk_go_all_the_way(running: Info) -> None:
    """200 MiB travel in parts, and the server does not hold them in memory."""
    _call(running, "DELETE", "/_local/requests")
    seen = _round_trip(running, "local-builder", "parts", 200)
    assert seen.pop("copy") == ["main.parts.copy", "1", "READY"]
    assert seen == _expected("00000000-0000-4000-8000-0000000000b1", "parts")
    sent = _call(running, "GET", "/_local/requests").json()["requests"]
    assert sum(r["path"].startswith("/_signed/parts/") for r in sent) > 20
    assert not any(r["status"] >= 500 for r in sent)
    assert not (running.folder / "logs" / "unknown_routes.log").exists()
    assert _peak_mib(running) < 200


def test_both_of_mlflows_registry_clients_see_the_same(running: Info) -> None:
    """The second one speaks Unity Catalog's own API, with tags, aliases and credentials there."""
    _call(running, "DELETE", "/_local/requests")
    seen = _round_trip(running, "local-builder", "native", 2, native=True)
    assert seen.pop("copy") == ["main.native.copy", "1", "READY"]
    assert seen == _expected("00000000-0000-4000-8000-0000000000b1", "native")
    sent = _call(running, "GET", "/_local/requests").json()["requests"]
    assert any(r["path"].startswith("/api/2.1/unity-catalog/subentity-tags/") for r in sent)
    old = [r for r in sent if r["path"].startswith("/api/2.0/mlflow/unity-catalog/")]
    # Only these two have no successor yet.
    assert {r["path"].rpartition("/")[2] for r in old} <= {
        "emit-lineage",
        "registered-models:is-databricks-sdk-models-artifact-repository-enabled",
    }
    assert not (running.folder / "logs" / "unknown_routes.log").exists()


@pytest.mark.parametrize("native", [False, True])
def test_mlflow_with_one_signed_url_per_file(running: Info, native: bool) -> None:
    schema = f"urls_{native}".lower()
    settings = "/_local/settings/artifacts"
    assert _call(running, "PUT", settings, json={"files_api": False}).status_code == 200
    try:
        _call(running, "DELETE", "/_local/requests")
        seen = _round_trip(running, "local", schema, 2, native=native)
    finally:
        _call(running, "PUT", settings, json={})
    assert seen.pop("copy") == [f"main.{schema}.copy", "1", "READY"]
    assert seen == _expected("admin@local.test", schema)
    sent = _call(running, "GET", "/_local/requests").json()["requests"]
    assert any(r["path"] == "/api/2.0/fs/create-upload-url" for r in sent)


def test_grants_hold_for_the_sdk(running: Info) -> None:
    _sdk(running, "local").schemas.create("held", "main")
    reader = _sdk(running, "local-reader")
    assert reader.current_user.me().user_name == "reader@local.test"
    with pytest.raises(PermissionDenied, match="USE SCHEMA"):
        reader.schemas.get("main.held")
    with pytest.raises(PermissionDenied, match="CREATE SCHEMA"):
        reader.schemas.create("mine", "main")
    with pytest.raises(Unauthenticated):
        WorkspaceClient(host=str(running.url), token="wrong").current_user.me()


def test_experiments_are_workspace_paths(running: Info) -> None:
    create = "/api/2.0/mlflow/experiments/create"
    refused = _call(running, "POST", create, json={"name": "plain"})
    assert refused.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    made = _call(running, "POST", create, json={"name": "/Shared/a b"})
    assert made.status_code == 200
    assert made.headers["X-Databricks-Org-Id"]
    query = {"experiment_name": "/Shared/a b"}
    found = _call(running, "GET", "/api/2.0/mlflow/experiments/get-by-name", params=query)
    assert found.json()["experiment"]["experiment_id"] == made.json()["experiment_id"]


def test_a_dropped_connection_is_one_for_real(running: Info) -> None:
    rule = {"path": SCHEMAS, "method": "POST", "drop": True, "when": "after"}
    assert _call(running, "POST", "/_local/faults", json=rule).status_code == 200
    with pytest.raises(requests.ConnectionError):
        _call(running, "POST", SCHEMAS, json={"name": "lost", "catalog_name": "main"})
    assert _call(running, "GET", f"{SCHEMAS}/main.lost").status_code == 200


def test_secrets_stay_in_files_of_the_owner(running: Info) -> None:
    assert running.config is not None
    assert running.config.stat().st_mode & 0o777 == 0o600
    assert running.folder.stat().st_mode & 0o077 == 0
    tokens = [_profile(running, p)["token"] for p in ("local", "local-builder", "local-reader")]
    assert len(set(tokens)) == 3
    for log in (running.folder / "logs").iterdir():
        text = log.read_text(errors="replace")
        assert not any(token in text for token in tokens), log


def test_a_second_start_says_so_and_harms_nothing(running: Info) -> None:
    with pytest.raises(AlreadyRunning, match=str(running.url)) as caught:
        instance.start(running.folder, free_port())
    assert caught.value.info == running
    with pytest.raises(WorkspaceError, match="stop it first"):
        instance.reset(running.folder)
    assert _call(running, "GET", SCHEMAS).status_code == 200


def test_a_taken_port_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            instance.start(tmp_path / "ws", port)
    assert list(tmp_path.iterdir()) == []
    assert instance.status(tmp_path / "ws").state == "stopped"


def test_without_a_port_the_next_free_one_is_taken_and_remembered(tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    first = instance.start(folder, free_port())
    instance.stop(folder)
    assert instance.start(folder).port == first.port
    instance.stop(folder)
    with socket.create_server(("127.0.0.1", int(first.port or 0))):
        moved = instance.start(folder)
    try:
        assert (moved.port or 0) > (first.port or 0)
        assert _profile(moved)["host"] == moved.url
    finally:
        instance.stop(folder)


def test_a_killed_instance_comes_back_as_it_was(running: Info, tmp_path: Path) -> None:
    """Side by side with another one, whose tokens do not open it."""
    folder, port = tmp_path / "ws", free_port()
    first = instance.start(folder, port)
    try:
        before = _profile(first)
        assert before["token"] != _profile(running)["token"]
        foreign = {"Authorization": f"Bearer {_profile(running)['token']}"}
        assert requests.get(f"{first.url}{SCHEMAS}", headers=foreign, timeout=9).status_code == 401
        made = _call(first, "POST", SCHEMAS, json={"name": "kept", "catalog_name": "main"}).json()
        name = {"name": "/Shared/kept"}
        experiment = _call(first, "POST", "/api/2.0/mlflow/experiments/create", json=name).json()
        children = _descendants(first)
        assert len(children) >= 2
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        assert _all_gone(children)
        assert instance.status(folder).state == "stopped"

        second = instance.start(folder, port)
        assert second.pid != first.pid
        assert _profile(second) == before
        assert _call(second, "GET", f"{SCHEMAS}/main.kept").json() == made
        found = _call(second, "GET", "/api/2.0/mlflow/experiments/get", params=experiment)
        assert found.json()["experiment"]["name"] == "/Shared/kept"

        children = _descendants(second)
        assert instance.stop(folder).state == "stopped"
        assert _all_gone(children)
        assert instance.stop(folder).state == "stopped"
        instance.reset(folder)
        assert not folder.exists()
    finally:
        instance.stop(folder)


def test_reset_leaves_a_foreign_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkspaceError, match="holds no local workspace"):
        instance.reset(tmp_path)
    assert (tmp_path / "file").exists()


def _peak_mib(info: Info) -> float:
    for line in Path(f"/proc/{info.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def _descendants(info: Info) -> list[int]:
    """Process ids of all that the server started, from ``/proc``."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    assert info.pid is not None
    found, level = [], [info.pid]
    while level:
        level = [pid for pid, parent in parents.items() if parent in level]
        found += level
    return found


def _all_gone(pids: list[int], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(_lives(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
