"""The commands that cases have beside `scgpt`; run in the folder of the environments."""

from __future__ import annotations

import configparser
import json
import os
import sys
import time
import tomllib
import uuid
from pathlib import Path
from typing import Any

import click
import requests

from scgpt_databricks.infra import settings
from tests.acceptance.deploy.settings_file import write_settings
from tests.acceptance.deploy.state_server import PASSWORD, USER
from tests.acceptance.manifests import write_manifest

SENT = ("POST", "PUT", "PATCH", "DELETE")
HERE = Path()


@click.group()
def tools() -> None:
    """Commands of the cases."""


@tools.command()
@click.argument("shares", nargs=-1, required=True)
def release(shares: tuple[str, ...]) -> None:
    """Write a manifest: VERSION:TRAFFIC of each served entity; the first is the champion."""
    pairs = [(int(v), int(t)) for v, _, t in (share.partition(":") for share in shares)]
    write_manifest(settings.load("local", HERE), *pairs)


@tools.command("settings")
@click.argument("lines", nargs=-1)
def settings_(lines: tuple[str, ...]) -> None:
    """Write `local.toml` as the states have it, but for these lines of TOML."""
    changes = tomllib.loads("\n".join(lines))
    write_settings(HERE, **{"monitoring": {"enabled": False}, **changes})


@tools.command()
@click.argument("method")
@click.argument("path")
@click.argument("body", required=False)
def api(method: str, path: str, body: str | None) -> None:
    """A request by somebody else, as admin; says its status and what was answered on errors."""
    answer = _request(method, path, json.loads(body) if body else None)
    said = "" if answer.ok else f" {answer.json().get('message', '')}"
    print(f"{answer.status_code}{said}")


@tools.command()
@click.argument("path")
@click.argument("keys", nargs=-1)
def show(path: str, keys: tuple[str, ...]) -> None:
    """Print the API's answer about an object, or one part of it.

    A part is named by keys; in a list by its place, or as `field=value`.
    """
    found = _request("GET", path).json()
    for key in keys:
        found = _entry(found, key) if isinstance(found, list) else found.get(key)
    print(json.dumps(found, indent=1, sort_keys=True))


def _entry(listed: list[Any], key: str) -> Any:
    field, named, value = key.partition("=")
    return next(each for each in listed if each[field] == value) if named else listed[int(key)]


@tools.command()
@click.argument("kind")
@click.argument("name")
def grants(kind: str, name: str) -> None:
    """Who was granted what on a securable, one line each."""
    found = _request("GET", f"/api/2.1/unity-catalog/permissions/{kind}/{name}").json()
    for each in found["privilege_assignments"]:
        print(f"{each['principal']}: {', '.join(each['privileges'])}")


@tools.command("run-job")
def run_job() -> None:
    """Run the daily job to its end: its result, and what it wrote."""
    listed = _request("GET", "/api/2.2/jobs/list?name=scgpt-serving: daily error rate")
    (job,) = listed.json()["jobs"]
    started = _request("POST", "/api/2.2/jobs/run-now", {"job_id": job["job_id"]}).json()
    while True:
        run = _request("GET", f"/api/2.2/jobs/runs/get?run_id={started['run_id']}").json()
        if run["state"]["life_cycle_state"] in ("TERMINATED", "INTERNAL_ERROR"):
            break
        time.sleep(0.2)
    (task,) = run["tasks"]
    output = _request("GET", f"/api/2.2/jobs/runs/get-output?run_id={task['run_id']}").json()
    print(run["state"]["result_state"])
    print(output.get("error") or output["logs"])


@tools.command()
@click.option("--bodies", is_flag=True, help="With what was sent.")
def sent(bodies: bool) -> None:
    """The requests that were to change something since the last call, and their answers."""
    for entry in _request("GET", "/_local/requests").json()["requests"]:
        if entry["method"] in SENT and "/mlflow/runs" not in entry["path"]:
            print(f"{entry['method']} {entry['path']} -> {entry['status']}")
            if bodies and entry["body"] and "/fs/files/" not in entry["path"]:
                print(json.dumps(json.loads(entry["body"]), indent=1, sort_keys=True))
    _request("DELETE", "/_local/requests")


@tools.command()
@click.argument("stack")
def state(stack: str) -> None:
    """The state of a stack as the server of `STATES` keeps it."""
    print(_state("GET", stack).text)


@tools.command()
@click.argument("stack")
@click.argument("who")
def lock(stack: str, who: str) -> None:
    """Somebody else takes the lock of a state on the server of `STATES`."""
    held = {"ID": str(uuid.UUID(int=1)), "Operation": "OperationTypeApply", "Info": "", "Who": who}
    more = {"Version": "1.5.7", "Created": "2026-11-21T07:12:13Z", "Path": ""}
    _state("POST", f"{stack}/lock", held | more)


@tools.command()
@click.argument("stack")
def unlock(stack: str) -> None:
    """Give that lock back."""
    _state("DELETE", f"{stack}/lock")


def _state(method: str, path: str, body: object = None) -> requests.Response:
    url = f"{os.environ['STATES']}/{path}"
    answer = requests.request(method, url, json=body, auth=(USER, PASSWORD), timeout=60)
    answer.raise_for_status()
    return answer


def _request(method: str, path: str, body: object = None) -> requests.Response:
    profiles = configparser.ConfigParser()
    profiles.read(HERE / "databrickscfg")
    host, token = (profiles.get("local", key) for key in ("host", "token"))
    return requests.request(
        method, host + path, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )


if __name__ == "__main__":
    tools(prog_name=Path(sys.argv[0]).name)
