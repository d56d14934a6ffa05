"""The envelope of every packed form: base64( ``SCGP``, version, kind, length, zlib(body) ).

The body is a JSON header and little-endian arrays. Nothing is unpickled, and nothing is
decompressed beyond its stated length.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import MAX_BODY_BYTES, MAX_CELLS_BYTES, MAX_HEADER_BYTES, MAX_PACKED_CHARS
from ..errors import InvalidPacking, InvalidRequest, LimitExceeded

MAGIC, VERSION = b"SCGP", 1
KIND_CELLS, KIND_CELL_EMBEDDINGS, KIND_GENE_EMBEDDINGS, KIND_GENES_IN_CONTEXT = 1, 2, 3, 4
UNSIGNED = ("u1", "u2", "u4")
FLOATS = ("f2", "f4")
_ENVELOPE = struct.Struct("<4sBBHI")  # magic, version, kind, reserved (0), bytes of the body
_ENVELOPE_CHARS = 16  # of base64


def pack(kind: int, header: dict[str, Any], arrays: list[NDArray[Any]], level: int) -> str:
    """A payload of any kind: header and arrays, compressed, in their envelope, as base64.

    Parameters
    ----------
    kind
        1 .. 4, as ``docs/wire-format.md`` numbers them.
    header
        What JSON can hold.
    arrays
        Of any shape, little-endian; written one after the other, row by row.
    level
        Of zlib, 0 .. 9.

    Raises
    ------
    InvalidRequest
        ``invalid_text``: a string of the header holds half a surrogate pair.
    LimitExceeded
        ``packed_too_large``: the header, or the body before compression.
    """
    try:
        head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            "invalid_text",
            "a name or label holds half of a surrogate pair, which is no character: "
            f"{error.object[max(error.start - 20, 0) : error.end]!r}. Rename it.",
        ) from error
    _limited("bytes of the header", len(head), MAX_HEADER_BYTES)
    body = b"".join([struct.pack("<I", len(head)), head, *(x.tobytes() for x in arrays)])
    if len(body) > _most_bytes(kind):
        raise LimitExceeded(
            "packed_too_large",
            f"{len(body):,} bytes before compression, {_most_bytes(kind):,} are allowed; "
            "use smaller chunks.",
        )
    envelope = _ENVELOPE.pack(MAGIC, VERSION, kind, 0, len(body))
    return base64.b64encode(envelope + zlib.compress(body, level)).decode("ascii")


def check_total(texts: Sequence[str]) -> None:
    """Refuse packed cells whose bodies exceed ``MAX_CELLS_BYTES`` together (``packed_too_large``).

    Goes by the lengths that the envelopes state, before anything is decompressed; each body is
    held to its own when it is opened.
    """
    total = sum(_stated_length(text) for text in texts)
    if total > MAX_CELLS_BYTES:
        raise LimitExceeded(
            "packed_too_large",
            f"{len(texts)} packed row(s) of this request hold {total:,} bytes before compression; "
            f"at most {MAX_CELLS_BYTES:,} are allowed. Send fewer cells per request.",
        )


class Body:
    """A packed payload, opened: its header, and its arrays one after the other."""

    def __init__(self, text: str, *kinds: int, max_chars: int | None = MAX_PACKED_CHARS) -> None:
        self.kind, body = _open(text, kinds, max_chars)
        if len(body) < 4:
            raise InvalidPacking("packed_truncated", "the body ends before its header.")
        (length,) = struct.unpack_from("<I", body)
        _limited("bytes of the header", min(length, len(body) - 4), MAX_HEADER_BYTES)
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
        if not isinstance(value, list) or not {*map(type, value)} <= {str}:
            raise InvalidPacking("packed_header", f"{name} must be a list of strings.")
        _limited(name, len(value), limit)
        return value

    def flag(self, name: str) -> bool:
        """True or false of the header."""
        value = self.header.get(name)
        if not isinstance(value, bool):
            raise InvalidPacking("packed_header", f"{name} must be true or false.")
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
    _, version, kind, reserved, length = _ENVELOPE.unpack_from(raw)
    if version != VERSION:
        raise InvalidPacking(
            "packed_version", f"version {version} is not known here; send version {VERSION}."
        )
    if reserved:
        raise InvalidPacking(
            "packed_version", f"bytes 6 and 7 are {reserved}; they are reserved, so send 0."
        )
    if kind not in kinds:
        raise InvalidPacking("packed_kind", f"kind {kind} cannot stand here; expected {kinds}.")
    _limited("bytes of the body", length, _most_bytes(kind))
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


def _stated_length(text: str) -> int:
    """Bytes of the body as the envelope states them; 0 where there is none, refused later."""
    try:
        raw = base64.b64decode(text[:_ENVELOPE_CHARS], validate=True)
    except (binascii.Error, ValueError):
        return 0
    is_ours = len(raw) == _ENVELOPE.size and raw[:4] == MAGIC
    return int(_ENVELOPE.unpack(raw)[4]) if is_ours else 0


def _most_bytes(kind: int) -> int:
    return MAX_CELLS_BYTES if kind == KIND_CELLS else MAX_BODY_BYTES


def _limited(name: str, value: int, limit: int) -> int:
    if value > limit:
        raise LimitExceeded("packed_too_large", f"{value:,} {name}; at most {limit:,} are allowed.")
    return value


def type_name_of(numbers: NDArray[Any]) -> str:
    """Name of a number type on the wire: ``u1``, ``u2``, ``u4``, ``f2`` or ``f4``."""
    return f"{numbers.dtype.kind}{numbers.dtype.itemsize}"
