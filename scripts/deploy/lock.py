"""One deploy at a time per environment on this machine; other machines meet at Terraform's lock."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from scgpt_databricks.infra.errors import DeployError

_SECONDS = 10
_PAUSES = (1.0, 3.0)  # seconds, before a lock is given back once more


@contextmanager
def only_one(path: Path, operation: str) -> Iterator[None]:
    """Hold the environment's lock file; the system lets go of it when the process ends.

    Parameters
    ----------
    path
        The lock file; it stays, the lock on it does not.
    operation
        What the holder does: ``plan``, ``deploy``, ...

    Raises
    ------
    DeployError
        Another process holds it; says which, whose and since when.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise DeployError(f"{_described(file.read())}. Wait until it is done") from error
        file.truncate(0)
        json.dump(
            {
                "operation": operation,
                "environment": path.stem,
                "who": f"{_user()}@{socket.gethostname()}",
                "pid": os.getpid(),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            },
            file,
        )
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no entry among the accounts
        return f"user {os.getuid()}"


def _described(content: str) -> str:
    try:
        holder = json.loads(content)
    except ValueError:  # between the lock and its description
        return "another process is working on this environment"
    return (
        f"{holder['environment']} is locked: {holder['who']} runs {holder['operation']} since "
        f"{holder['since']} (process {holder['pid']})"
    )


def held_elsewhere(
    stack: str, text: str, folder: Path, environment: Mapping[str, str]
) -> str | None:
    """What Terraform said about a state that somebody else has locked, in a sentence; None where
    the text is about something else.
    """
    if "state lock" not in text:
        return None
    info = dict(re.findall(r"^\W*(ID|Who|Operation|Created):\s+(\S.*?)\s*$", text, re.MULTILINE))
    if holder := re.search(r"already locked: ID=(\S+)", text):
        # With state behind HTTP, Terraform shows the lock that it wanted, not the one it met.
        found = _http_holder(folder, environment)
        if left := found.get("Left"):
            return (
                f"{stack}: the state was locked; the lock is free by now, but the one that asked "
                f"who held it could not be given back: run `terraform force-unlock {left}` in "
                f"{folder}, then try again"
            )
        info = {**found, "ID": holder[1]}
    if not info.get("ID"):
        return None
    return (
        f"{stack}: the state is locked: {info.get('Who', 'somebody')} runs "
        f"{info.get('Operation', 'an operation').removeprefix('OperationType')} since "
        f"{info.get('Created', 'an unknown time')}. Wait until it is done; where that process "
        f"no longer exists, run `terraform force-unlock {info['ID']}` in {folder}"
    )


def _let_go(unlock: Callable[[], bool]) -> bool:
    """Unlock, again where that fails: nobody else knows of the lock."""
    import requests

    for pause in (0.0, *_PAUSES):
        time.sleep(pause)
        with suppress(requests.RequestException):
            if unlock():
                return True
    return False


def _http_holder(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Who holds a lock behind HTTP: asked for once more, the server answers with the holder."""
    import requests

    declared = json.loads((folder / "cdk.tf.json").read_text())["terraform"]["backend"]["http"]
    login = (environment.get("TF_HTTP_USERNAME", ""), environment.get("TF_HTTP_PASSWORD", ""))
    wanted = {
        "ID": str(uuid.uuid4()),
        "Operation": "OperationTypeInvalid",
        "Who": _user(),
    }

    def ask(kind: str) -> requests.Response:
        return requests.request(
            declared[f"{kind}_method"],
            declared[f"{kind}_address"],
            json=wanted,
            auth=login,
            timeout=_SECONDS,
        )

    try:
        answer = ask("lock")
        if answer.ok:  # free by now
            return {} if _let_go(lambda: ask("unlock").ok) else {"Left": wanted["ID"]}
        found = answer.json()
    except (requests.RequestException, ValueError):
        return {}
    return {key: str(value) for key, value in found.items() if value}
