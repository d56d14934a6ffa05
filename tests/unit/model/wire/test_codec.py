"""The packed forms: what goes in comes out, and garbage is refused in one way only."""

from __future__ import annotations

import base64
import json
import struct
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import sparse

from scgpt_databricks.model.contract import MAX_CELLS, MAX_CELLS_BYTES, MAX_GENES, MAX_HEADER_BYTES
from scgpt_databricks.model.errors import InvalidPacking, InvalidRequest, LimitExceeded, ScgptError
from scgpt_databricks.model.wire.codec import (
    PackedEmbeddings,
    decode_cells,
    decode_embeddings,
    encode_cells,
    encode_embeddings,
)
from scgpt_databricks.model.wire.envelope import check_total

NONE = np.empty(0, np.int64)


def pack(header: object, arrays: bytes = b"", kind: int = 1, **change: int) -> str:
    """A payload made by hand from the specification, so that each part can be wrong."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = struct.pack("<I", change.get("head", len(head))) + head + arrays
    length = change.get("length", len(body))
    raw = struct.pack("<4sBBHI", b"SCGP", change.get("version", 1), kind, 0, length)
    return base64.b64encode(raw + zlib.compress(body)).decode()


HEADER = {"cells": 2, "genes": ["A", "B", "C"], "ids": None, "gap_type": "u1", "value_type": "u2"}
ARRAYS = struct.pack("<2I", 2, 1) + bytes([0, 2, 1]) + struct.pack("<3H", 5, 300, 7)
WRAPPED = struct.pack("<2I3I3H", 2, 1, 1, 2**32 - 1, 1, 5, 300, 7)
"""Columns 1 and, in 32 bits, 0 again."""


def test_a_payload_made_by_hand_is_read() -> None:
    cells = decode_cells(pack(HEADER, ARRAYS))
    np.testing.assert_array_equal(cells.counts.toarray(), [[5, 0, 300], [0, 7, 0]])
    assert (cells.genes, cells.ids) == (["A", "B", "C"], None)


@settings(deadline=None)
@given(
    arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8]),
        array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6),
        elements=st.integers(0, 200) | st.sampled_from([0, 0, 0]),
    ),
    st.sampled_from([1, 0.5, 300, 70_000]),
)
def test_cells_come_back(dense: np.ndarray, scale: float) -> None:
    dense = dense * np.float64(scale)
    genes = [f"g{i}" for i in range(dense.shape[1])]
    ids = [f"cell {i} é" for i in range(dense.shape[0])]
    cells = decode_cells(encode_cells(sparse.csr_matrix(dense), genes, ids))
    np.testing.assert_array_equal(cells.counts.toarray(), dense.astype(np.float32))
    assert (cells.genes, cells.ids) == (genes, ids)


def test_wide_gaps_and_large_counts_come_back() -> None:
    counts = sparse.csr_matrix(
        (np.array([1, 2**31, 3]), np.array([70_000, 99_999, 0]), np.array([0, 2, 2, 3])),
        shape=(3, 100_000),
    )
    got = decode_cells(encode_cells(counts, [str(i) for i in range(100_000)])).counts
    assert (got != counts).nnz == 0


@pytest.mark.parametrize(
    ("change", "arrays_", "code"),
    [
        ({"cells": -1}, ARRAYS, "packed_header"),
        ({"cells": "2"}, ARRAYS, "packed_header"),
        ({"cells": True}, ARRAYS, "packed_header"),
        ({"cells": 2.0}, ARRAYS, "packed_header"),
        ({"genes": "ABC"}, ARRAYS, "packed_header"),
        ({"genes": ["A", 2]}, ARRAYS, "packed_header"),
        ({"gap_type": "i8"}, ARRAYS, "packed_header"),
        ({"gap_type": ["u1"]}, ARRAYS, "packed_header"),
        ({"value_type": "O"}, ARRAYS, "packed_header"),
        ({"value_type": "f2"}, ARRAYS, "packed_header"),
        ({"ids": ["only one"]}, ARRAYS, "packed_inconsistent"),
        ({}, ARRAYS + b"x", "packed_inconsistent"),
        ({}, ARRAYS[:-1], "packed_truncated"),
        ({"cells": 9}, ARRAYS, "packed_truncated"),
        ({"genes": ["A", "B"]}, ARRAYS, "packed_index_out_of_range"),
        ({}, ARRAYS[:9] + bytes([0]) + ARRAYS[10:], "packed_index_out_of_range"),
        ({"gap_type": "u4"}, WRAPPED, "packed_index_out_of_range"),
    ],
)
def test_inconsistent_payloads(change: dict, arrays_: bytes, code: str) -> None:
    with pytest.raises(InvalidPacking) as caught:
        decode_cells(pack(HEADER | change, arrays_))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (pack(HEADER, ARRAYS, version=2), "packed_version"),
        (pack(HEADER, ARRAYS, kind=2), "packed_kind"),
        (pack(HEADER, ARRAYS, length=20), "packed_length"),
        (pack(HEADER, ARRAYS, length=2000), "packed_length"),
        (pack(HEADER, ARRAYS, head=2**31), "packed_header"),
        (pack([1], ARRAYS), "packed_header"),
        (pack(b"\xff\xfe", ARRAYS), "packed_header"),
        (pack(b"[" * 10_000, ARRAYS), "packed_header"),
        ("SCGP", "packed_magic"),
        ("====", "packed_base64"),
        ("A" * 7, "packed_base64"),
        ("日本", "packed_base64"),
    ],
)
def test_broken_envelopes(payload: str, code: str) -> None:
    with pytest.raises(InvalidPacking) as caught:
        decode_cells(payload)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "payload",
    [
        pack(HEADER | {"cells": MAX_CELLS + 1}, ARRAYS),
        pack(HEADER | {"genes": [""] * (MAX_GENES + 1)}, ARRAYS),
        pack(HEADER, ARRAYS, length=2**32 - 1),
        pack(HEADER, ARRAYS, length=MAX_CELLS_BYTES + 1),
        pack(HEADER | {"genes": ["G" * MAX_HEADER_BYTES]}, ARRAYS),
        "A" * (16 * 1024 * 1024 + 4),
    ],
)
def test_what_exceeds_the_limits(payload: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        decode_cells(payload)
    assert caught.value.status == 413


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(300 << 20), 9)
    raw = struct.pack("<4sBBHI", b"SCGP", 1, 1, 0, 64) + bomb
    with pytest.raises(InvalidPacking, match="64 bytes"):
        decode_cells(base64.b64encode(raw).decode())


def peak_of(payload: str) -> int:
    """Bytes that reading took at most."""
    tracemalloc.start()
    with suppress(InvalidPacking):
        decode_cells(payload)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_more_values_than_genes_are_refused_before_they_are_expanded() -> None:
    stored = 4_000_000
    payload = pack(HEADER | {"value_type": "u1"}, struct.pack("<2I", stored, 0) + bytes(2 * stored))
    assert len(payload) < 12_000
    with pytest.raises(InvalidPacking, match="must rise within a cell and stay below 3"):
        decode_cells(payload)
    assert peak_of(payload) < 3 * 2 * stored  # the body, while it grows


def test_reading_takes_at_most_five_times_the_body() -> None:
    n_cells, n_genes = 100, 20_000
    header = {
        **HEADER,
        "cells": n_cells,
        "genes": [f"G{i}" for i in range(n_genes)],
        "value_type": "u1",
    }
    full = struct.pack("<I", n_genes) * n_cells
    gaps = (b"\0" + b"\1" * (n_genes - 1)) * n_cells
    payload = pack(header, full + gaps + b"\1" * len(gaps))
    names = 100 * n_genes
    assert peak_of(payload) < 5 * 2 * len(gaps) + names


def test_gaps_that_overflow_when_added_are_refused() -> None:
    """In 32 bits, 1 + (2^32 - 1) + 1 would be column 1 again."""
    header = HEADER | {"cells": 1, "gap_type": "u4", "value_type": "u1"}
    gaps = struct.pack("<3I", 1, 2**32 - 1, 1)
    with pytest.raises(InvalidPacking, match="must rise"):
        decode_cells(pack(header, struct.pack("<I", 3) + gaps + b"\1\1\1"))


def test_rows_are_bounded_together_whatever_else_is_wrong_with_them() -> None:
    half = pack(HEADER, ARRAYS, length=MAX_CELLS_BYTES // 2)
    check_total([half, half, "no base64!", "", "SCGP", "\ud800"])
    with pytest.raises(LimitExceeded, match="3 packed row") as caught:
        check_total([half, half, pack(HEADER, ARRAYS)])
    assert (caught.value.code, caught.value.status) == ("packed_too_large", 413)


def test_what_would_be_refused_is_not_packed() -> None:
    with pytest.raises(LimitExceeded, match="bytes of the header"):
        encode_cells(sparse.csr_matrix((1, 1)), ["G" * MAX_HEADER_BYTES])


@pytest.mark.parametrize(
    ("genes", "names", "code"),
    [
        (["A", "B"], {}, "gene_count_mismatch"),
        (["A", "B", "C", "D"], {}, "gene_count_mismatch"),
        (["A", "B", "C"], {"ids": ["x"]}, "cell_count_mismatch"),
        (["A", "B", "C"], {"obs": {"type": ["T"] * 3}}, "cell_count_mismatch"),
        (["A", "B", "\ud800"], {}, "invalid_text"),
        (["A", "B", "C"], {"ids": ["x", "\udfff"]}, "invalid_text"),
    ],
)
def test_names_that_do_not_fit_the_matrix_are_not_packed(
    genes: list[str], names: dict, code: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        encode_cells(sparse.csr_matrix(np.ones((2, 3))), genes, **names)
    assert caught.value.code == code


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 60), st.booleans())
def test_garbage_raises_our_error_and_nothing_else(noise: bytes, at: int, inside: bool) -> None:
    """Noise in place of the body, or over a part of a good payload's body or bytes."""
    good = bytearray(base64.b64decode(pack(HEADER, ARRAYS)))
    if inside:
        body = bytearray(zlib.decompress(good[12:]))
        body[at : at + len(noise)] = noise
        raw = struct.pack("<4sBBHI", b"SCGP", 1, 1, 0, len(body)) + zlib.compress(bytes(body))
    else:
        good[at : at + len(noise)] = noise
        raw = bytes(good)
    try:
        cells = decode_cells(base64.b64encode(raw).decode())
    except ScgptError:
        return
    cells.counts.check_format()  # what is accepted is a sound matrix


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_raises_our_error(text: str) -> None:
    with pytest.raises(ScgptError):
        decode_cells(text)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0), ("float16", 1e-3)])
def test_answers_come_back(dtype: str, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    answer = PackedEmbeddings(
        names=["a", "b", "c"],
        embeddings=rng.standard_normal((3, 8)).astype(np.float32),
        matched=np.array([5, 0, 9]),
        unknown=np.array([1, 0, 2]),
        truncated=np.array([0, 0, 3]),
        not_found=[],
        digest="d" * 64,
    )
    got = decode_embeddings(encode_embeddings(answer, dtype))
    np.testing.assert_allclose(got.embeddings, answer.embeddings, atol=tolerance)
    np.testing.assert_array_equal(got.matched, answer.matched)
    np.testing.assert_array_equal(got.truncated, answer.truncated)
    assert (got.names, got.digest) == (answer.names, answer.digest)


def test_answers_about_genes_come_back() -> None:
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    answer = PackedEmbeddings(["A", "B"], table, NONE, NONE, NONE, ["X"], "d")
    got = decode_embeddings(encode_embeddings(answer, "float32"))
    np.testing.assert_array_equal(got.embeddings, table)
    assert (got.names, got.not_found, len(got.matched)) == (["A", "B"], ["X"], 0)


def test_numbers_beyond_float16_are_refused() -> None:
    answer = PackedEmbeddings(["A"], np.full((1, 2), 1e6, np.float32), NONE, NONE, NONE, [], "d")
    with pytest.raises(InvalidRequest, match="float32"):
        encode_embeddings(answer, "float16")


def test_a_packed_request_is_a_twentieth_of_dense_json() -> None:
    rng = np.random.default_rng(0)
    dense = (rng.negative_binomial(1, 0.2, (100, 3000)) + 1) * (rng.random((100, 3000)) < 0.1)
    genes = [f"GENE{i}" for i in rng.permutation(60_000)[:3000]]
    text = encode_cells(sparse.csr_matrix(dense), genes)
    assert len(json.dumps(dense.astype(float).tolist())) / len(text) > 20
