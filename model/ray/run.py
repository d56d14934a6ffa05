"""Serve a model from this machine until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import ray
from ray import serve

from .. import registry
from ..errors import RegistryError
from .server import autoscaling, deployment_from_model_name
from .settings import Settings

_NAME = "scgpt"
_OBJECT_STORE_BYTES = 200 * 1024 * 1024  # requests and answers, on their way between processes
_STOP_LIMIT_S = 300.0


def parse(text: str) -> tuple[str, str]:
    """Return model and version of ``MODEL``, ``MODEL@alias`` or ``MODEL/version``.

    Without a version it is the one that is called champion.
    """
    name = text.removeprefix("models:/")
    for mark in ("@", "/"):
        model, found, version = name.rpartition(mark)
        if found:
            return model, version
    return name, registry.CHAMPION


def check(model: str, version: str) -> None:
    """Refuse a model that the registry lacks, before a cluster starts."""
    from .versions import find, resolve

    try:
        find(model, resolve(model, version))
    except RegistryError as error:
        hint = " Name one: MODEL@alias or MODEL/version." if error.code == "no_such_version" else ""
        raise RegistryError(error.code, error.message + hint) from error


def run(
    model: str,
    version: str,
    settings: Settings,
    *,
    host: str,
    port: int,
    replicas: tuple[int, int],
    up: Callable[[str], None],
) -> None:
    """Serve a model until SIGTERM or Ctrl-C; requests that run are answered first.

    Parameters
    ----------
    replicas
        Least and most; between them their number follows the load.
    up
        Called with the address once it answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    address = os.environ.get("RAY_ADDRESS")
    local: dict[str, Any] = {} if address else {"object_store_memory": _OBJECT_STORE_BYTES}
    # Without an address Ray joins any cluster that `ray start` left on this machine.
    ray.init(address or "local", include_dashboard=False, logging_level=logging.WARNING, **local)
    before = [signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)]
    try:
        least, most = replicas
        serve.start(http_options={"host": host, "port": port})
        deployment = deployment_from_model_name(
            model, version, settings=settings, autoscaling_config=autoscaling(least, most)
        )
        serve.run(deployment.bind(), name=_NAME, route_prefix="/")
        up(f"http://{host}:{port}")
        stop.wait()
        _drain()
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()
        for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(each, handler)


def _drain() -> None:
    """Take no more requests, and wait for those that run."""
    serve.delete(_NAME, _blocking=False)
    limit = time.monotonic() + _STOP_LIMIT_S
    while serve.status().applications and time.monotonic() < limit:
        time.sleep(0.2)
