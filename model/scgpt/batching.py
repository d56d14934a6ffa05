"""Choose the cells that go through the network together, and fewer where they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import EngineError

Made = TypeVar("Made")
# Words of torch's allocator for the CPU, on Linux and macOS, and on Windows; and of libraries of
# NVIDIA's that find no room for themselves.
_NO_MEMORY = (
    *("can't allocate memory", "not enough memory"),
    *("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"),
)
BATCHES_PER_BLOCK = 8  # enough that handing over costs little, few enough to start soon


class TokenBudget:
    """How many tokens a batch may hold. Cells of like length go together, the longest first.

    Threads may share one: a budget that was too large is halved for all of them.

    Parameters
    ----------
    tokens
        Of a batch; a longer cell is a batch of its own.
    device
        Named where one cell does not fit it.

    Raises
    ------
    EngineError
        ``invalid_token_budget``.
    """

    def __init__(self, tokens: int, device: torch.device) -> None:
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
            raise EngineError(
                "invalid_token_budget",
                f"token_budget is {tokens!r}; it must be an integer of 1 or more. Leave it out for "
                "what suits the device.",
            )
        self.tokens, self._device = tokens, device

    def blocks(self, lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Cells in blocks of some whole batches: the batches that ``batches`` makes of them all.

        Parameters
        ----------
        lengths
            int64 ``[cells]``: tokens of each cell.
        """
        order, ends, end = _longest_first(lengths), [], 0
        while end < len(order):
            end += self._size(int(lengths[order[end]]))
            ends.append(end)
        cuts = [end for end in ends[BATCHES_PER_BLOCK - 1 :: BATCHES_PER_BLOCK] if end < len(order)]
        return np.split(order, cuts)

    def batches(
        self, lengths: NDArray[np.int64], compute: Callable[[NDArray[np.int64]], Made]
    ) -> Iterator[tuple[NDArray[np.int64], Made]]:
        """Some cells and what `compute` makes of them, until all had their turn.

        Where a batch does not fit the memory, the budget is halved, for good, and its cells are
        tried again.

        Raises
        ------
        EngineError
            ``out_of_memory``: one cell alone does not fit.
        """
        order = _longest_first(lengths)
        while len(order):
            longest, budget = int(lengths[order[0]]), self.tokens
            batch = order[: self._size(longest)]
            try:
                made = compute(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                made = None  # the error keeps its frames' tensors alive: let go of it first
            if made is None:
                self.make_room(longest, budget, alone=len(batch) == 1)
            else:
                yield batch, made
                order = order[len(batch) :]

    def make_room(self, longest: int, tried: int, *, alone: bool) -> None:
        """Give memory back, and halve the budget that was too large.

        Requests that fail together halve it once: only where it still is what they tried.
        """
        torch.cuda.empty_cache()
        if alone:
            raise EngineError(
                "out_of_memory",
                f"one cell of {longest} tokens does not fit the memory of {self._device}; "
                "use a larger device, or send a smaller max_length.",
            )
        if self.tokens == tried:
            self.tokens = max(tried // 2, longest)

    def _size(self, longest: int) -> int:
        return max(1, self.tokens // longest)


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Return True when memory was what failed, of a GPU or of the machine.

    Beside its own type torch raises plain RuntimeErrors, which only their words tell from others.
    """
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        words in str(error) for words in _NO_MEMORY
    )


def _longest_first(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.argsort(-lengths, kind="stable")
