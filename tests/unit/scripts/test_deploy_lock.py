"""Two deploys at once: the second one says who holds the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import DeployError
from scripts.deploy.lock import held_elsewhere, only_one

HOLD = """
import sys
from pathlib import Path
from scripts.deploy.lock import only_one
with only_one(Path(sys.argv[1]), "deploy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "dev.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DeployError) as caught, only_one(path, "plan"):
            pass
        message = str(caught.value)
        assert message.startswith("dev is locked: ")
        assert "runs deploy since 20" in message
        assert f"(process {holder.pid})" in message
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    with only_one(path, "plan"):
        assert f'"pid": {os.getpid()}' in path.read_text(), "a killed holder holds nothing"
    with only_one(path, "plan"):
        pass


def test_it_is_free_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_one(tmp_path / "dev.lock", "plan"):
        raise ZeroDivisionError
    with only_one(tmp_path / "dev.lock", "plan"):
        pass


def test_a_user_without_a_name_may_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    with only_one(tmp_path / "dev.lock", "plan"):
        assert '"who": "user 987654@' in (tmp_path / "dev.lock").read_text()


TERRAFORM = """Error acquiring the state lock: Error message: resource temporarily unavailable
Lock Info:
  ID:        1f3e5d7c-0000-1111-2222-333344445555
  Path:
  Operation: OperationTypeApply
  Who:       ann@builder
  Version:   1.11.4
  Created:   2026-11-21 07:12:13.5 +0000 UTC
  Info:

Terraform acquires a state lock to protect the state from being written
by multiple users at the same time.
"""


def test_terraforms_own_lock_is_told_in_a_sentence(tmp_path: Path) -> None:
    said = held_elsewhere("dev-serving", TERRAFORM, tmp_path, {})
    assert said is not None
    assert "dev-serving: the state is locked: ann@builder runs Apply since 2026-11-21" in said
    assert "terraform force-unlock 1f3e5d7c-0000-1111-2222-333344445555" in said
    assert "\n" not in said
    assert held_elsewhere("dev-serving", "Error: no such bucket", tmp_path, {}) is None
