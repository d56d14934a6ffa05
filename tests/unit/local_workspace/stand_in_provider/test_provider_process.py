"""The program that Terraform starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from scgpt_databricks.local_workspace.stand_in_provider import server
from scgpt_databricks.local_workspace.stand_in_provider.mirror import write_mirror

HEAVY = ("pydantic", "mlflow", "databricks", "starlette", "uvicorn", "cdktf", "numpy", "torch")


def test_it_imports_nothing_heavy() -> None:
    """Terraform starts it several times per command."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "import scgpt_databricks.local_workspace.stand_in_provider.server; print(*sys.modules)"
    )
    root = Path(__file__).parents[4]
    result = subprocess.run(
        [sys.executable, "-I", "-c", program, str(root)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in result.stdout.split()}
    assert "grpc" in loaded
    assert loaded & {*HEAVY} == set()


def test_the_wrapper_says_where_to_find_it(tmp_path: Path) -> None:
    wrapper = write_mirror(tmp_path / "a b", Path(sys.executable)).wrapper
    environment = {"PATH": os.environ["PATH"], "TF_PLUGIN_MAGIC_COOKIE": server._COOKIE}
    started = time.monotonic()
    with subprocess.Popen([wrapper], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline().rstrip("\n").split("|")
        took = time.monotonic() - started
        socket = Path(line[3])
        assert [*line[:3], *line[4:]] == ["1", "6", "unix", "grpc", ""]
        assert socket.is_socket()
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        process.terminate()
    assert not socket.parent.exists()
    assert took < 5, "a start takes a fifth of a second on an idle machine"


def test_it_is_not_for_people(tmp_path: Path) -> None:
    wrapper = write_mirror(tmp_path, Path(sys.executable)).wrapper
    result = subprocess.run([wrapper], env={}, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert "Terraform starts it, people do not" in result.stderr
