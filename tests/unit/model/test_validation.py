"""A logged model that is slow to start, where other work shares the machine."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress

import requests

from scgpt_databricks.model import validation
from tests.unit.loopback import JsonHandler, listening


class Busy(JsonHandler):
    """Takes longer for its first answer than anybody waits for one."""

    asked = 0

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        Busy.asked += 1
        if Busy.asked == 1:
            time.sleep(2.5)
        with suppress(BrokenPipeError):  # nobody waits any more
            self.answer(200, {})


def test_a_server_that_is_slow_to_answer_is_asked_again() -> None:
    waiting = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    try:
        with listening(Busy) as port:
            validation._wait(requests.Session(), f"http://127.0.0.1:{port}", waiting)
        assert Busy.asked == 2
    finally:
        waiting.communicate()
