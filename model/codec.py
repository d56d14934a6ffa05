"""The packed forms of cells and embeddings, as ``docs/wire-format.md`` specifies them.

base64( ``SCGP``, version, kind, length of the body, zlib(body) ); the body is a JSON header and
little-endian arrays. Nothing is unpickled, and nothing is decompressed beyond its stated length.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from model.contract import MAX_BODY_BYTES, MAX_CELLS, MAX_GENES, MAX_PACKED_CHARS
from model.errors import InvalidPacking, InvalidRequest, LimitExceeded

MAGIC, VERSION = b"SCGP", 1
KIND_CELLS, KIND_CELL_EMBEDDINGS, KIND_GENE_EMBEDDINGS, KIND_GENES_IN_CONTEXT = 1, 2, 3, 4
_ENVELOPE = struct.Struct("<4sBBHI")  # magic, version, kind, reserved (0), bytes of the body
_UNSIGNED = ("u1", "u2", "u4")
_FLOATS = ("f2", "f4")


@dataclass(frozen=True)
class Cells:
    """Some cells as callers send them.

    Parameters
    ----------
    counts
        ``[cells, genes]``, CSR.
    genes
        Symbol of each column.
    ids
        Name of each cell; None: their positions.
    obs
        Columns of labels, one label per cell (None: missing). Only some are ever read: ``batch``
        to find highly variable genes, and the one that ``group_by`` names.
    """

    counts: sparse.csr_matrix
    genes: list[str]
    ids: list[str] | None = None
    obs: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class PackedEmbeddings:
    """What a packed answer holds.

    Parameters
    ----------
    names
        Cell ids, or gene symbols.
    embeddings
        float32 ``[names, dim]`` (float16 on the wire where asked for).
    matched, unknown, truncated
        int64 ``[cells]``; empty in an answer about genes.
    not_found
        Genes that were asked for and are not in the vocabulary; empty in an answer about cells.
    digest
        The model's digest.
    """

    names: list[str]
    embeddings: NDArray[np.float32]
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    truncated: NDArray[np.int64]
    not_found: list[str]
    digest: str


def encode_cells(
    counts: sparse.csr_matrix | sparse.csr_array,
    genes: Sequence[str],
    ids: Sequence[str] | None = None,
    obs: Mapping[str, Sequence[str | None]] | None = None,
) -> str:
    """Pack cells for the ``packed`` column: ``[cells, genes]``, one symbol per column; ``obs``:
    columns of labels (``group_by`` and ``batch`` are the ones that are ever read).

    Whole numbers are stored as such; all else as float32.

    Raises
    ------
    LimitExceeded
        More than the contract allows in one chunk: send fewer cells per row.
    """
    matrix = sparse.csr_matrix(counts, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    lengths = np.diff(matrix.indptr)
    gaps = np.diff(matrix.indices.astype(np.int64), prepend=0)
    first = matrix.indptr[:-1][lengths > 0]
    gaps[first] = matrix.indices[first]
    gaps, values = _narrowest(gaps), _narrowest(matrix.data)
    header = {
        "cells": matrix.shape[0],
        "genes": list(genes),
        "ids": None if ids is None else list(ids),
        **({"obs": {name: list(labels) for name, labels in obs.items()}} if obs else {}),
        "gap_type": type_name_of(gaps),
        "value_type": type_name_of(values),
    }
    return pack(KIND_CELLS, header, [lengths.astype("<u4"), gaps, values], level=6)


def decode_cells(text: str) -> Cells:
    """Unpack the ``packed`` column.

    Raises
    ------
    InvalidPacking
        Not base64, another magic, version or kind, a wrong length, damaged or inconsistent.
    LimitExceeded
        More cells, genes or bytes than the contract allows.
    """
    body = Body(text, KIND_CELLS)
    n_cells = body.count("cells", MAX_CELLS)
    genes = body.strings("genes", MAX_GENES)
    ids = None if body.header.get("ids") is None else body.strings("ids", MAX_CELLS)
    if ids is not None and len(ids) != n_cells:
        raise InvalidPacking(
            "packed_inconsistent", f"{n_cells} cells are claimed but {len(ids)} ids are given."
        )
    obs = _labels(body.header.get("obs", {}), n_cells)
    lengths = body.array("u4", n_cells).astype(np.int64)
    gaps = body.array(body.type_name("gap_type", _UNSIGNED), int(lengths.sum())).astype(np.int64)
    values = body.array(body.type_name("value_type", (*_UNSIGNED, "f4")), len(gaps))
    body.end()

    indptr = np.concatenate([[0], np.cumsum(lengths)])
    total = np.cumsum(gaps)
    before = np.concatenate([[0], total])[indptr[:-1]]
    indices = total - np.repeat(before, lengths)
    repeated = gaps == 0
    repeated[indptr[:-1][lengths > 0]] = False  # a first gap of 0 is column 0
    if repeated.any() or (len(indices) and indices.max() >= len(genes)):
        raise InvalidPacking(
            "packed_index_out_of_range",
            f"column indices must rise within a cell and stay below {len(genes)}, the number of "
            "genes.",
        )
    counts = sparse.csr_matrix(
        (values.astype(np.float32), indices, indptr), shape=(n_cells, len(genes))
    )
    return Cells(counts, genes, ids, obs)


def _labels(sent: Any, n_cells: int) -> dict[str, list[str | None]]:
    if not isinstance(sent, dict):
        raise InvalidPacking("packed_header", "obs must be an object of columns.")
    for name, labels in sent.items():
        if not isinstance(labels, list) or not all(x is None or isinstance(x, str) for x in labels):
            raise InvalidPacking(
                "packed_header", f"obs column {name[:40]!r} must be a list of strings or null."
            )
        if len(labels) != n_cells:
            raise InvalidPacking(
                "packed_inconsistent",
                f"{n_cells} cells are claimed but obs column {name[:40]!r} has {len(labels)}.",
            )
    return sent


def encode_embeddings(answer: PackedEmbeddings, dtype: str) -> str:
    """Pack an answer, its numbers as ``float16`` or ``float32``.

    Raises
    ------
    InvalidRequest
        The numbers do not fit float16.
    """
    with np.errstate(over="ignore"):
        numbers = answer.embeddings.astype("<f2" if dtype == "float16" else "<f4")
    if not np.isfinite(numbers).all():
        raise InvalidRequest(
            "too_large_for_float16", "some numbers exceed 65,504; ask for response_format float32."
        )
    header = {
        "names": answer.names,
        "dim": int(numbers.shape[1]),
        "value_type": type_name_of(numbers),
        "not_found": answer.not_found,
        "model_digest": answer.digest,
    }
    per_cell = [x.astype("<u4") for x in (answer.matched, answer.unknown, answer.truncated)]
    kind = KIND_CELL_EMBEDDINGS if len(answer.matched) else KIND_GENE_EMBEDDINGS
    return pack(kind, header, [numbers, *per_cell], level=1)


def decode_embeddings(text: str, *, max_chars: int | None = None) -> PackedEmbeddings:
    """Unpack an answer (errors as ``decode_cells``). ``max_chars``: own limit, or none."""
    body = Body(text, KIND_CELL_EMBEDDINGS, KIND_GENE_EMBEDDINGS, max_chars=max_chars)
    names = body.strings("names", MAX_GENES)
    dim = body.count("dim", 65_536)
    numbers = body.array(body.type_name("value_type", _FLOATS), len(names) * dim)
    n_cells = len(names) if body.kind == KIND_CELL_EMBEDDINGS else 0
    matched, unknown, truncated = (body.array("u4", n_cells).astype(np.int64) for _ in range(3))
    body.end()
    return PackedEmbeddings(
        names=names,
        embeddings=numbers.astype(np.float32).reshape(len(names), dim),
        matched=matched,
        unknown=unknown,
        truncated=truncated,
        not_found=body.strings("not_found", MAX_GENES),
        digest=str(body.header.get("model_digest", "")),
    )


def pack(kind: int, header: dict[str, Any], arrays: list[NDArray[Any]], level: int) -> str:
    """A payload of any kind: header and arrays, compressed, in their envelope, as base64."""
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    body = b"".join([struct.pack("<I", len(head)), head, *(x.tobytes() for x in arrays)])
    if len(body) > MAX_BODY_BYTES:
        raise LimitExceeded(
            "packed_too_large",
            f"{len(body):,} bytes before compression, {MAX_BODY_BYTES:,} are allowed; "
            "use smaller chunks.",
        )
    envelope = _ENVELOPE.pack(MAGIC, VERSION, kind, 0, len(body))
    return base64.b64encode(envelope + zlib.compress(body, level)).decode("ascii")


class Body:
    """A packed payload, opened: its header, and its arrays one after the other."""

    def __init__(self, text: str, *kinds: int, max_chars: int | None = MAX_PACKED_CHARS) -> None:
        self.kind, body = _open(text, kinds, max_chars)
        if len(body) < 4:
            raise InvalidPacking("packed_truncated", "the body ends before its header.")
        (length,) = struct.unpack_from("<I", body)
        try:
            header = json.loads(body[4 : 4 + length].decode("utf-8"))
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict):
            raise InvalidPacking("packed_header", "the header must be a JSON object in UTF-8.")
        self.header: dict[str, Any] = header
        self._body, self._at = body, 4 + length

    def count(self, name: str, limit: int) -> int:
        """An integer of the header, 0 .. limit."""
        value = self.header.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidPacking(
                "packed_header", f"{name} must be an integer of 0 or more, not {str(value)[:40]!r}."
            )
        return _limited(name, value, limit)

    def strings(self, name: str, limit: int) -> list[str]:
        """A list of strings of the header, at most ``limit`` of them."""
        value = self.header.get(name)
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise InvalidPacking("packed_header", f"{name} must be a list of strings.")
        _limited(name, len(value), limit)
        return value

    def type_name(self, name: str, allowed: Sequence[str]) -> str:
        """A number type of the header."""
        value = self.header.get(name)
        if value not in allowed:
            raise InvalidPacking(
                "packed_header",
                f"{name} must be one of {', '.join(allowed)}, not {str(value)[:40]!r}.",
            )
        return str(value)

    def array(self, type_name: str, count: int) -> NDArray[Any]:
        """The next ``count`` numbers."""
        dtype = np.dtype("<" + type_name)
        if self._at + count * dtype.itemsize > len(self._body):
            raise InvalidPacking(
                "packed_truncated",
                f"the body has {len(self._body)} bytes and ends before its {count} {type_name} "
                "numbers do.",
            )
        numbers = np.frombuffer(self._body, dtype, count, self._at)
        self._at += count * dtype.itemsize
        return numbers

    def end(self) -> None:
        """Refuse bytes that nothing accounts for."""
        if self._at != len(self._body):
            raise InvalidPacking(
                "packed_inconsistent",
                f"{len(self._body) - self._at} bytes follow after the last array.",
            )


def _open(text: str, kinds: Sequence[int], max_chars: int | None) -> tuple[int, bytes]:
    """Envelope checked, body decompressed: ``(kind, body)``."""
    if max_chars is not None and len(text) > max_chars:
        raise LimitExceeded(
            "packed_too_large",
            f"{len(text):,} characters, {max_chars:,} are allowed; send fewer cells per row.",
        )
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPacking("packed_base64", "the packed value is not base64.") from None
    if len(raw) < _ENVELOPE.size or raw[:4] != MAGIC:
        raise InvalidPacking(
            "packed_magic", "the packed value does not begin with SCGP; see docs/wire-format.md."
        )
    _, version, kind, _, length = _ENVELOPE.unpack_from(raw)
    if version != VERSION:
        raise InvalidPacking(
            "packed_version", f"version {version} is not known here; send version {VERSION}."
        )
    if kind not in kinds:
        raise InvalidPacking("packed_kind", f"kind {kind} cannot stand here; expected {kinds}.")
    _limited("bytes of the body", length, MAX_BODY_BYTES)
    unzip = zlib.decompressobj()
    try:
        body = unzip.decompress(raw[_ENVELOPE.size :], length + 1)
    except zlib.error:
        raise InvalidPacking("packed_damaged", "the compressed body is damaged.") from None
    if len(body) != length or not unzip.eof or unzip.unused_data:
        raise InvalidPacking(
            "packed_length", f"the body is not of the {length:,} bytes that the envelope states."
        )
    return kind, body


def _limited(name: str, value: int, limit: int) -> int:
    if value > limit:
        raise LimitExceeded("packed_too_large", f"{value:,} {name}; at most {limit:,} are allowed.")
    return value


def _narrowest(numbers: NDArray[Any]) -> NDArray[Any]:
    """As the narrowest of u1, u2, u4 that holds them all exactly, else float32."""
    if not len(numbers):
        return numbers.astype("<u1")
    top = numbers.max()
    for name in _UNSIGNED:
        if numbers.min() >= 0 and top <= np.iinfo(name).max:
            narrow = numbers.astype("<" + name)
            return narrow if (narrow == numbers).all() else numbers.astype("<f4")
    return numbers.astype("<f4")


def type_name_of(numbers: NDArray[Any]) -> str:
    """Name of a number type on the wire: ``u1``, ``u2``, ``u4``, ``f2`` or ``f4``."""
    return f"{numbers.dtype.kind}{numbers.dtype.itemsize}"
