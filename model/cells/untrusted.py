"""Files that anybody may have written: bound what they cost, and refuse links that leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..contract import MAX_BODY_BYTES, MAX_CELLS_BYTES, MAX_GENES
from ..errors import InvalidRequest, LimitExceeded

_AT_ONCE = 16  # strings at least; fewer at a time would take a file of 200,000 names ten seconds


def refuse_links(path: Path, file: h5py.File) -> None:
    """Refuse a file that points into other files; those were never allowed.

    Goes through the groups one by one: HDF5's own visit takes minutes where they lie deep.
    """
    waiting: list[Any] = [file["/"]]
    seen = set()
    while waiting:
        group = waiting.pop()
        if group in seen:  # a group can hold itself
            continue
        seen.add(group)
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                continue  # leads to something in this file, which has its own turn
            item = None if isinstance(link, h5py.ExternalLink) else group[name]
            is_data = isinstance(item, h5py.Dataset)
            if item is None or (is_data and (item.external or item.is_virtual)):
                raise InvalidRequest(
                    "invalid_file",
                    f"{path.name} holds a link to another file ({name}); copy the data in.",
                )
            if isinstance(item, h5py.Group):
                waiting.append(item)


def bytes_to_read(part: h5py.Dataset) -> int:
    """Bytes that reading a data set takes: its own, or those of one chunk where that is larger."""
    chunk = int(np.prod(part.chunks, dtype=np.float64)) if part.chunks else 0
    return max(int(part.size), chunk) * int(part.dtype.itemsize)


def check_column(part: h5py.Dataset, name: str) -> None:
    """Refuse names or labels that take more memory than those of any honest data set.

    A file of a few kB can say that 200,000 names have a thousand letters each. Strings of variable
    length tell their bytes when they are read, but none is longer than the file: they are counted
    so many at a time that they fit.

    Raises
    ------
    LimitExceeded
        ``file_too_large``.
    ValueError
        There are too many, or they are no text.
    """
    if part.size > MAX_GENES:
        raise ValueError(f"{name} has {part.size:,} entries")
    n_bytes = bytes_to_read(part)
    if part.dtype.kind == "O":
        if h5py.check_string_dtype(part.dtype) is None:
            raise ValueError(f"{name} holds no text")
        step = max(_AT_ONCE, MAX_BODY_BYTES // part.file.id.get_filesize())
        for start in range(0, part.size, step):
            n_bytes += sum(map(len, part[start : start + step]))
            if n_bytes > MAX_CELLS_BYTES:
                break
    if n_bytes > MAX_CELLS_BYTES:
        raise LimitExceeded(
            "file_too_large",
            f"{name} of the file takes more than {MAX_CELLS_BYTES:,} bytes when it is read; use "
            "shorter names.",
        )
