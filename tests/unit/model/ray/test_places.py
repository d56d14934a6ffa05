"""Places: bounded, least recently used first, and nobody loses a version that a request uses."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from scgpt_databricks.model.ray.places import Places
from scgpt_databricks.model.ray.problems import Refusal


class Version:
    def __init__(self, key: int, size: int, world: World) -> None:
        self.key, self.bytes, self._world = key, size, world
        self.open = True

    async def close(self) -> None:
        assert self.open
        self.open = False
        self._world.open.remove(self.key)


class World:
    """Loads that a test lets go on, and what is open at the moment."""

    def __init__(self, **limits: Any) -> None:
        self.open: list[int] = []
        self.left: list[int] = []
        self.loads: list[int] = []
        self.sizes: dict[int, int] = {}
        self.broken: set[int] = set()
        self.slow: dict[int, asyncio.Event] = {}
        self.most_open = 0
        self.places: Places[Version] = Places(self.load, evicted=self.left.append, **limits)

    async def load(self, key: int) -> Version:
        self.loads.append(key)
        if key in self.slow:
            await self.slow[key].wait()
        if key in self.broken:
            raise Refusal(503, "load_failed", "no")
        self.open.append(key)
        self.most_open = max(self.most_open, len(self.open))
        return Version(key, self.sizes.get(key, 1), self)

    async def ask(self, key: int) -> int:
        async with self.places.use(key) as version:
            await asyncio.sleep(0)
            assert version.open
            return version.key


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_the_least_recently_used_version_leaves() -> None:
    async def test() -> None:
        world = World(most=2)
        for key in (1, 2, 1, 3):
            assert await world.ask(key) == key
        await asyncio.sleep(0)
        assert (world.places.loaded, world.left, world.open) == ([1, 3], [2], [1, 3])
        await world.places.close()
        assert world.open == []

    run(test())


def test_requests_for_one_version_share_one_load() -> None:
    async def test() -> None:
        world = World(most=2)
        assert await asyncio.gather(*(world.ask(1) for _ in range(20))) == [1] * 20
        assert world.loads == [1]

    run(test())


def test_a_version_in_use_leaves_after_its_last_request() -> None:
    async def test() -> None:
        world = World(most=1)
        async with world.places.use(1) as version:
            waiting = asyncio.ensure_future(world.ask(2))
            for _ in range(20):
                await asyncio.sleep(0)
            assert world.left == [1]
            assert version.open
            assert not waiting.done()
        assert await waiting == 2
        assert (world.open, world.most_open) == ([2], 2)

    run(test())


def test_a_load_does_not_block_other_versions() -> None:
    async def test() -> None:
        world = World(most=2)
        await world.ask(1)
        world.slow[2] = asyncio.Event()
        waiting = asyncio.ensure_future(world.ask(2))
        await asyncio.sleep(0)
        assert await world.ask(1) == 1
        assert await world.ask(3) == 3
        world.slow[2].set()
        assert await waiting == 2

    run(test())


def test_a_version_that_does_not_load_evicts_nobody_and_is_not_hammered() -> None:
    async def test() -> None:
        world = World(most=2, retry_load_s=100)
        world.broken = {9}
        await world.ask(1)
        await world.ask(2)
        for _ in range(5):
            with pytest.raises(Refusal, match="no"):
                await world.ask(9)
        assert (world.places.loaded, world.left, world.loads) == ([1, 2], [], [1, 2, 9])

    run(test())


def test_a_failed_load_is_remembered_until_one_succeeds() -> None:
    async def test() -> None:
        world = World(most=2, retry_load_s=0)
        world.broken = {9}
        with pytest.raises(Refusal, match="no"):
            await world.ask(9)
        assert world.places.failure(9) is not None  # a health check must not forget it
        world.broken = set()
        await world.ask(9)
        assert world.places.failure(9) is None

    run(test())


def test_all_places_in_use_are_told_in_time() -> None:
    async def test() -> None:
        world = World(most=1, place_timeout_s=0.05)
        async with world.places.use(1):
            with pytest.raises(Refusal) as caught:
                await world.ask(2)
        assert (caught.value.status, caught.value.code) == (503, "no_place")
        assert await world.ask(3) == 3
        assert world.open == [3]

    run(test())


def test_bytes_are_a_bound_too() -> None:
    async def test() -> None:
        world = World(most=9, most_bytes=10)
        world.sizes = {1: 4, 2: 4, 3: 4, 4: 11}
        for key in (1, 2, 3):
            await world.ask(key)
        assert world.places.loaded == [2, 3]
        with pytest.raises(Refusal) as caught:
            await world.ask(4)
        assert caught.value.code == "version_too_large"
        assert world.places.loaded == [2, 3]

    run(test())


def test_a_client_that_leaves_keeps_no_place_and_stops_no_load() -> None:
    async def test() -> None:
        world = World(most=1)
        world.slow[1] = asyncio.Event()
        leaving = asyncio.ensure_future(world.ask(1))
        await asyncio.sleep(0)
        leaving.cancel()
        world.slow[1].set()
        assert await world.ask(1) == 1
        assert world.loads == [1]
        assert await world.ask(2) == 2
        assert world.open == [2]

    run(test())


def test_a_version_whose_process_ended_is_loaded_anew() -> None:
    async def test() -> None:
        world = World(most=2)
        async with world.places.use(1) as version:
            world.places.discard(version)
        assert await world.ask(1) == 1
        assert world.loads == [1, 1]

    run(test())


def test_many_versions_at_once_all_get_their_turn() -> None:
    async def test() -> None:
        world = World(most=2)
        keys = [key % 7 for key in range(200)]
        assert await asyncio.gather(*map(world.ask, keys)) == keys
        await asyncio.sleep(0)
        assert len(world.open) <= 2
        assert world.most_open <= 2 + 2  # those that load do so beside the places

    run(test())
