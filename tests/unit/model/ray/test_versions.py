"""Versions by name, while the registry answers late or not at all."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from scgpt_databricks.model.ray import versions
from scgpt_databricks.model.ray.versions import Versions


def test_a_late_registry_makes_no_request_wait_and_is_heard_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, aliases = threading.Event(), {"live": 1}

    def ask(model: str) -> dict[str, int]:
        assert answered.wait(60)
        return dict(aliases)

    monkeypatch.setattr(versions, "_FRESH_S", 0.01)
    monkeypatch.setattr(versions.registry, "aliases", ask)
    known: Any = {1: "first", 2: "second"}

    async def main() -> None:
        of = Versions("m", "live", timeout_s=30, refresh_s=0.001)
        of._known = known
        answered.set()
        assert await of.named("live") == "first"
        answered.clear()
        aliases["live"] = 2
        await asyncio.sleep(0.002)
        assert await of.named("live") == "first"
        (late,) = of._asking.values()
        answered.set()
        await late
        assert await of.named("live") == "second"

    asyncio.run(main())
