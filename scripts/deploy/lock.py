"""One deploy at a time per environment on this machine; other machines meet at Terraform's lock."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from scgpt_databricks.infra.errors import DeployError


@contextmanager
def only_one(path: Path, operation: str) -> Iterator[None]:
    """Hold the environment's lock file; the system lets go of it when the process ends.

    The file stays. It says what the holder does: ``plan``, ``deploy``, ...

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
