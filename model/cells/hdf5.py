"""Open HDF5 files wherever they lie, and tell which of their data cannot be unpacked."""

from __future__ import annotations

import importlib
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py

from ..errors import InvalidRequest, LimitExceeded
from .trial import try_file

_LARGEST = 1 << 28


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, on a file system without locks too; others have tried it before.

    Raises
    ------
    OSError
        It is no HDF5 file, or another program is writing it.
    InvalidRequest
        ``not_anndata``: as ``try_file``.
    """
    try_file(path)
    try:
        return h5py.File(path, "r")
    except BlockingIOError:
        raise
    except OSError:
        return h5py.File(path, "r", locking=False)


def check_chunks(path: Path, *stored: Any) -> None:
    """Refuse data that HDF5 cannot unpack here.

    Raises
    ------
    InvalidRequest
        ``missing_filter``.
    LimitExceeded
        ``file_too_large``: one chunk, which is unpacked whole, takes more than ``_LARGEST`` bytes.
    """
    for dataset in stored:
        if not isinstance(dataset, h5py.Dataset):
            continue
        if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > _LARGEST:
            raise LimitExceeded(
                "file_too_large",
                f"{dataset.name} of {path.name} lies in chunks of more than {_LARGEST:,} bytes, "
                "which are unpacked whole. Write it again with adata.write_h5ad.",
            )
        created = dataset.id.get_create_plist()
        for number in range(created.get_nfilters()):
            code, _, _, name = created.get_filter(number)
            if not _is_here(code):
                raise InvalidRequest(
                    "missing_filter",
                    f"{path.name} is compressed with a plugin of HDF5 that is not here (filter "
                    f"{code} {name.decode().split(';')[0]}). Install it: pip install hdf5plugin.",
                )


def _is_here(code: int) -> bool:
    if not h5py.h5z.filter_avail(code):
        with suppress(ImportError):
            importlib.import_module("hdf5plugin")  # to import it is to register its filters
    return bool(h5py.h5z.filter_avail(code))
