"""Child processes of a workspace: none of them outlives it, even when it is killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PORTS = range(20000, 32000)
_SUPERVISOR = Path(__file__).with_name("supervisor.py")


class ChildError(Exception):
    """A child process ended, or did not get ready, when it was needed."""


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on right now.

    It lies below the range from which systems give ports to outgoing connections, so that none of
    those takes it before the child does.
    """
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.choice(_PORTS)))  # noqa: S311 - no secret
            except OSError:
                continue
            return int(probe.getsockname()[1])


def environment_without(*prefixes: str) -> dict[str, str]:
    """Return this process's environment without the variables that begin with a prefix."""
    return {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}


def tail(log: Path, lines: int = 15) -> str:
    """Return the place of a log and its last lines."""
    text = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join([f"Log: {log}", *text])


@dataclass(frozen=True)
class Child:
    """A running command under its supervisor (:mod:`.supervisor`).

    ``pid`` is the supervisor's, which is also the process group of all that the command started.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
        status: Path | None = None,
    ) -> Child:
        """Start a command in a process group of its own.

        Parameters
        ----------
        name
            Its name in messages.
        env
            Its whole environment.
        log
            File that gets its output, appended.
        status
            File that gets its exit status when it ends by itself.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISOR), str(status or "-"), *argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the command and all that it started; harmless when it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    async def wait_healthy(self, url: str, timeout_s: float) -> None:
        """Return when `url` answers 200.

        Raises
        ------
        ChildError
            The command ended, or `timeout_s` seconds have passed; with the end of its log.
        """
        import httpx  # not at the top: the command line knows instances without it

        deadline = time.monotonic() + timeout_s
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:
            while time.monotonic() < deadline:
                if not self.alive:
                    raise ChildError(f"{self.name} ended while it was starting. {self.tail()}")
                try:
                    if (await client.get(url)).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)
        raise ChildError(f"{self.name} was not ready after {timeout_s:.0f} s. {self.tail()}")

    def tail(self, lines: int = 15) -> str:
        return tail(self.log, lines)
