"""The replica's side of a version's process: start it, ask it in batches, end it."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import ray
from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..errors import InvalidRequest
from ..wire.rows import read_rows
from .problems import Refusal
from .process import Facts, Process
from .rows import Question
from .settings import Settings
from .versions import Known

_log = logging.getLogger("ray.serve")
_OF_CELLS = {"packed", "adata_sparsematrix"}  # columns


class Handle:
    """A version that is loaded in a process of its own.

    Attributes
    ----------
    bytes
        Resident memory of the process, after its last answer.
    digest
        Of the version.
    """

    def __init__(self, actor: Any, folder: str, facts: Facts) -> None:
        self._actor, self._folder = actor, folder
        self.bytes, self.digest, self.splits = facts.bytes, facts.digest, facts.splits
        self.ended = asyncio.ensure_future(_end_of(actor))

    async def answer(self, questions: list[Question]) -> list[bytes | Refusal]:
        """Answer requests that may go together.

        Raises
        ------
        RayActorError
            The process ended.
        """
        answers: list[bytes | Refusal]
        answers, self.bytes = await self._actor.answer.remote(questions)
        return answers

    async def close(self) -> None:
        """End the process and remove its files."""
        self.ended.cancel()
        ray.kill(self._actor)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


async def _end_of(actor: Any) -> None:
    try:
        await actor.wait_for_the_end.options(concurrency_group="watch").remote()
    except RayError:
        return


async def start(model: str, known: Known, settings: Settings) -> Handle:
    """Load a version in a new process on this node.

    Raises
    ------
    Refusal
        503 ``load_failed``.
    """
    folder = tempfile.mkdtemp(prefix=f"scgpt-ray-{known.number}-")
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote: Any = ray.remote  # its annotations do not know concurrency groups
    actor = (
        remote(concurrency_groups={"watch": 1})(Process)
        .options(num_cpus=0, num_gpus=settings.gpus, scheduling_strategy=here)
        .remote(settings.threads, settings.tracking_uri, settings.registry_uri)
    )
    try:
        loading = actor.load.remote(model, known.number, known.digest, folder)
        facts = await asyncio.wait_for(loading, settings.load_timeout_s)
    except BaseException as error:
        ray.kill(actor)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if not isinstance(error, (RayError, TimeoutError)):
            raise
        _log.exception("version %d could not be loaded", known.number)
        why = type(error.cause).__name__ if isinstance(error, RayTaskError) else "its process ended"
        if isinstance(error, TimeoutError):
            why = f"not within {settings.load_timeout_s:g} s"
        raise Refusal(
            503,
            "load_failed",
            f"Version {known.number} could not be loaded: {why}. The log has the rest, under "
            "the id of this request.",
            headers={"Retry-After": "30"},
        ) from error
    return Handle(actor, folder, facts)


@dataclass(frozen=True)
class Item:
    """A request on its way into a batch."""

    question: Question
    handle: Handle
    tokens: int

    @property
    def kind(self) -> tuple[Any, ...]:
        """Requests of one kind may go together."""
        data = self.question.data
        columns = tuple(data) if hasattr(data, "keys") else (data.dtype.str, data.shape[1:])
        params = json.dumps(self.question.params, sort_keys=True, default=repr)
        return (id(self.handle), params, columns)


class Batches:
    """Requests to one version, put together by tokens; each version has a queue of its own.

    Ray fills one queue for all models and splits it afterwards, so that batches become smaller with
    each model. Requests of more than half a batch go alone.

    Parameters
    ----------
    observe
        Told the tokens of a batch, and its requests.
    """

    def __init__(self, settings: Settings, observe: Callable[[int, int, int], None]) -> None:
        self._settings, self._observe = settings, observe
        self._queues: dict[int, Callable[[Item], Awaitable[bytes | Refusal]]] = {}

    async def answer(self, number: int, handle: Handle, question: Question, tokens: int) -> bytes:
        """Answer a request, perhaps together with others.

        Parameters
        ----------
        tokens
            As :func:`size_of` counts them.

        Raises
        ------
        Refusal
            The model refuses it, or fails.
        """
        limit = self._settings.batch_tokens
        batched = handle.splits or self._settings.batch_all_models
        # Ray puts one that does not fit behind all others: a large one would never have its turn.
        if not batched or tokens > limit // 2:
            self._observe(number, tokens, 1)
            (found,) = await handle.answer([question])
        else:
            found = await self._queue(number)(Item(question, handle, tokens))
        if isinstance(found, Refusal):
            raise found
        return found

    def _queue(self, number: int) -> Callable[[Item], Awaitable[bytes | Refusal]]:
        if number not in self._queues:
            # A queue belongs to the decorated function: a method would share one between versions.
            async def answer_batch(items: list[Item]) -> list[bytes | Refusal]:
                self._observe(number, sum(item.tokens for item in items), len(items))
                return await _answer(items)

            self._queues[number] = serve.batch(
                max_batch_size=self._settings.batch_tokens,
                batch_wait_timeout_s=self._settings.batch_wait_s,
                batch_size_fn=lambda items: sum(item.tokens for item in items),
            )(answer_batch)
        return self._queues[number]


async def _answer(items: list[Item]) -> list[Any]:
    """Answer the requests of each kind together; the end of a process reaches only its own."""
    kinds: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        kinds[item.kind].append(i)
    answers: list[Any] = [None] * len(items)
    for members in kinds.values():
        handle = items[members[0]].handle
        try:
            found: list[Any] = await handle.answer([items[i].question for i in members])
        except RayActorError:
            found = [process_ended()] * len(members)
        for i, answer in zip(members, found, strict=True):
            answers[i] = answer
    return answers


def process_ended() -> Refusal:
    """Refuse a request whose version died while it was computing."""
    return Refusal(
        503,
        "process_ended",
        "The version's process ended while it was answering, often for lack of memory. The next "
        "request loads it again.",
        headers={"Retry-After": "5"},
    )


class Size(NamedTuple):
    """Tokens and cells of a request."""

    tokens: int
    cells: int


async def size_of(question: Question) -> Size:
    """Count the tokens of a request: values that are not zero, and one for each cell.

    For other models, and for what the model will refuse, it is the number of rows.
    """
    data = question.data
    if hasattr(data, "to_dict") and set(data) & _OF_CELLS:
        return await asyncio.to_thread(_read, question)
    return Size(question.rows, 0)


def _read(question: Question) -> Size:
    try:
        rows = read_rows(question.data.to_dict("records"))
    except InvalidRequest:
        return Size(question.rows, 0)
    counts = [row.cells.counts for row in rows if row.cells is not None]
    cells = sum(each.shape[0] for each in counts)
    return Size(max(question.rows, sum(each.nnz for each in counts) + cells), cells)
