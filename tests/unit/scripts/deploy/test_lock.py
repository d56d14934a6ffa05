"""Two deploys at once: the second one says who holds the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.deploy.lock import only_one

HOLD = """
import sys
from pathlib import Path
from scgpt_databricks.scripts.deploy.lock import only_one
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
