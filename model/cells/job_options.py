"""Options of a job over a whole data set: cells at a time, and the place of its answers."""

from __future__ import annotations

from operator import index
from typing import Any

from ..errors import InvalidRequest

OBSM_KEY = "X_scGPT"  # where scGPT's own code puts embeddings
COUNTED = ("matched", "unknown", "truncated")  # of each cell's genes, as answers name them
OBS_COLUMNS = tuple(f"scgpt_{name}_genes" for name in COUNTED)
STATUS_COLUMN = "scgpt_status"  # of obs: ok, no_known_gene, or failed and why

CELLS_PER_REQUEST = 100  # float32 answers of 512 numbers stay below the 1 MiB that gets logged
CELLS_PER_READ = 2048  # of a file; two such pieces are in memory


def check_chunk(chunk: Any) -> None:
    """Refuse a number of cells that is no whole number of at least 1 (``invalid_chunk``)."""
    try:
        is_possible = index(chunk) >= 1
    except TypeError:
        is_possible = False
    if not is_possible:
        raise InvalidRequest(
            "invalid_chunk", f"chunk is {chunk!r}; it must be a whole number of at least 1."
        )


def check_key(key: Any) -> None:
    """Refuse a key of obsm that an ``.h5ad`` cannot hold (``invalid_key``)."""
    if not isinstance(key, str) or key in ("", ".") or "/" in key or "\0" in key:
        raise InvalidRequest(
            "invalid_key",
            f"key is {key!r}; the key of obsm must be a name without '/', such as {OBSM_KEY}.",
        )
