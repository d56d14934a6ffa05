"""Runs one command and ends it, with everything it started, when the parent process is gone.

A script of its own, on the standard library only: ``python supervisor.py STATUS COMMAND ...``,
where STATUS is a file that gets the command's exit status when it ends by itself, or ``-``. Its
standard input is a pipe that nobody writes to; end of file means that the parent has closed it or
was killed. The command runs in the supervisor's process group; should the supervisor itself be
killed, Linux kills the command (``PR_SET_PDEATHSIG``).
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE_S = 3.0
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(command: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to stop, then kill what is left of it, this process included."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while command.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(0, signal.SIGKILL)


def main(status: str, argv: list[str]) -> None:
    """Run `argv` until it ends or standard input does."""
    command = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,
    )
    signal.signal(signal.SIGTERM, lambda *_: _end(command))
    while command.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], 0.2)
        if readable and not os.read(sys.stdin.fileno(), 1):
            _end(command)
    if status == "-":
        sys.stderr.write(f"{argv[0]} ended by itself with status {command.returncode}\n")
        sys.stderr.flush()
    else:
        Path(status).write_text(str(command.returncode))
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
