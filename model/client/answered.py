"""The rows of some cells, in their order: answered, or failed with a reason."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..cells.job_options import STATUS_COLUMN
from ..contract import PACKED
from ..errors import EndpointError, InvalidRequest
from ..wire.codec import PackedEmbeddings, decode_embeddings

OK, NO_KNOWN_GENE, FAILED = "ok", "no_known_gene", "failed"
_STATUS_CHARS = 64


def packed_of(
    lines: Sequence[Mapping[str, Any]], asked: Sequence[str] | None = None
) -> PackedEmbeddings:
    """Return the content of the one line of a packed answer.

    Parameters
    ----------
    asked
        Names of the cells that were asked for; None: the answer is about genes.

    Raises
    ------
    EndpointError
        ``foreign_answer``: it is no such line, or about other cells.
    """
    try:
        (line,) = lines
        found = decode_embeddings(line[PACKED])
    except (ValueError, KeyError, TypeError, InvalidRequest) as error:
        raise EndpointError(
            "foreign_answer",
            f"the endpoint gave {len(lines)} lines, not one with packed embeddings "
            f"({type(error).__name__}: {error}). Check that it serves this model.",
        ) from error
    if asked is not None and found.names != list(asked):
        raise EndpointError(
            "foreign_answer",
            f"the endpoint was asked for {_named(asked)} and answered for {_named(found.names)}. "
            "See that nothing between here and there repeats answers of other requests.",
        )
    return found


def _named(cells: Sequence[str]) -> str:
    return f"{len(cells)} cells" + (f" ({cells[0]} to {cells[-1]})" if len(cells) else "")


@dataclass(frozen=True)
class Answered:
    """Rows of cells.

    Parameters
    ----------
    embeddings
        float32 ``[cells, width]``; NaN where a cell failed.
    matched, unknown, truncated
        int64 ``[cells]``; 0 where a cell failed.
    status
        ``[cells]``: ``ok``, ``no_known_gene``, or ``failed: <code>``.
    """

    embeddings: NDArray[np.float32]
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    truncated: NDArray[np.int64]
    status: NDArray[np.str_]

    @classmethod
    def of(cls, answer: PackedEmbeddings | Any) -> Self:
        """Take the rows of an answer: a packed one, or the engine's own."""
        status = np.where(answer.matched > 0, OK, NO_KNOWN_GENE).astype(f"U{_STATUS_CHARS}")
        return cls(answer.embeddings, answer.matched, answer.unknown, answer.truncated, status)

    @classmethod
    def failed(cls, n_cells: int, code: str) -> Self:
        """Return rows of cells that failed; their width is not known (0)."""
        none = np.zeros(n_cells, np.int64)
        status = np.full(n_cells, f"{FAILED}: {code}", f"U{_STATUS_CHARS}")
        return cls(np.zeros((n_cells, 0), np.float32), none, none, none, status)

    @classmethod
    def joined(cls, parts: Sequence[Answered]) -> Self:
        """Return the rows of several, one after the other."""
        width = max(part.embeddings.shape[1] for part in parts)
        return cls(
            np.concatenate([part.wide(width).embeddings for part in parts]),
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("matched", "unknown", "truncated", "status")
            ),
        )

    def take(self, places: Sequence[int]) -> Answered:
        """Return the rows at these places."""
        some = np.asarray(places, np.int64)
        return Answered(*(getattr(self, name)[some] for name in self.__dataclass_fields__))

    @property
    def has_failed(self) -> NDArray[np.bool_]:
        """Say which cells failed: bool ``[cells]``."""
        return np.char.startswith(self.status, FAILED)

    def warn(self) -> None:
        """Warn of cells that failed, and of cells that lost genes to ``max_length``."""
        n_cells, failed = len(self.status), self.has_failed
        if failed.any():
            codes = ", ".join(sorted({*self.status[failed].tolist()}))
            warnings.warn(
                f"{failed.sum():,} of {n_cells:,} cells failed ({codes}); their rows are NaN, and "
                f"obs['{STATUS_COLUMN}'] names them. Embed these cells again.",
                stacklevel=3,
            )
        if longer := int((self.truncated > 0).sum()):
            warnings.warn(
                f"{longer:,} of {n_cells:,} cells ({longer / n_cells:.1%}) have more known genes "
                "than the model reads (max_length), so some of their genes were left out. Choose "
                "the genes once for the data set: n_top_genes, or genes.",
                stacklevel=3,
            )

    def wide(self, width: int) -> Answered:
        """Give rows without a width NaN of this width."""
        if self.embeddings.shape[1] == width:
            return self
        nan = np.full((len(self.status), width), np.nan, np.float32)
        return Answered(nan, self.matched, self.unknown, self.truncated, self.status)
