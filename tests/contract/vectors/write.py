"""Write the test vectors: ``python -m tests.contract.vectors.write``.

Written from docs/wire-format.md with ``struct`` and ``zlib`` alone, so that neither client of the
format checks itself. To change these files is to change the wire format: that needs a new version.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
LETTERS = {"u1": "B", "u2": "H", "u4": "I", "f2": "e", "f4": "f"}
DIGEST = "0123456789abcdef" * 4
WIDE = [f"G{i}" for i in range(700)]


def numbers(kind: str, *values: float) -> bytes:
    return struct.pack(f"<{len(values)}{LETTERS[kind]}", *values)


def packed(kind: int, header: Any, *arrays: bytes, **wrong: Any) -> str:
    """The packed form; ``wrong`` replaces a part of it."""
    head = header if isinstance(header, bytes) else json.dumps(header, ensure_ascii=False).encode()
    body = struct.pack("<I", wrong.get("header_length", len(head))) + head + b"".join(arrays)
    envelope = struct.pack(
        "<4sBBHI", wrong.get("magic", b"SCGP"), wrong.get("version", 1), kind, 0,
        wrong.get("length", len(body)),
    )  # fmt: skip
    stream = zlib.compress(body)[: wrong.get("cut")] + wrong.get("more", b"")
    return base64.b64encode(envelope + stream).decode()


def header(cells: int, genes: list[str], gap: str, value: str, ids: Any = None) -> dict[str, Any]:
    return {"cells": cells, "genes": genes, "ids": ids, "gap_type": gap, "value_type": value}


def cells() -> list[dict[str, Any]]:
    """``stored``: per cell, pairs of column and value."""
    example = header(2, ["A", "B", "C"], "u1", "u2")
    wide = header(2, WIDE, "u2", "u4", ["first", "zweite Zelle äß€"])
    return [
        {
            "name": "the example of the document",
            "packed": packed(1, example, numbers("u4", 2, 1), numbers("u1", 0, 2, 1),
                             numbers("u2", 5, 300, 7)),
            "genes": ["A", "B", "C"], "ids": None, "stored": [[[0, 5], [2, 300]], [[1, 7]]],
        },
        {
            "name": "gaps of two bytes, values of four, ids beyond ASCII",
            "packed": packed(1, wide, numbers("u4", 3, 2), numbers("u2", 1, 300, 398, 0, 699),
                             numbers("u4", 1, 70_000, 16_777_216, 2, 3)),
            "genes": WIDE, "ids": ["first", "zweite Zelle äß€"],
            "stored": [[[1, 1], [301, 70_000], [699, 16_777_216]], [[0, 2], [699, 3]]],
        },
        {
            "name": "floating point, empty cells first, between and last",
            "packed": packed(1, header(5, ["A", "Ä"], "u4", "f4"), numbers("u4", 0, 2, 0, 1, 0),
                             numbers("u4", 0, 1, 1), numbers("f4", 0.5, 1.25, 3.0517578125e-05)),
            "genes": ["A", "Ä"], "ids": None,
            "stored": [[], [[0, 0.5], [1, 1.25]], [], [[1, 3.0517578125e-05]], []],
        },
    ]  # fmt: skip


def answers() -> list[dict[str, Any]]:
    def answer(kind: int, names: list[str], value_type: str, rows: list[list[float]],
               per_cell: list[list[int]], not_found: list[str], name: str,
               ) -> dict[str, Any]:  # fmt: skip
        head = {
            "names": names, "dim": len(rows[0]), "value_type": value_type,
            "not_found": not_found, "model_digest": DIGEST,
        }  # fmt: skip
        arrays = [numbers(value_type, *row) for row in rows]
        arrays += [numbers("u4", *counts) for counts in per_cell]
        matched, unknown, truncated = per_cell or [[], [], []]
        return {
            "name": name, "packed": packed(kind, head, *arrays), "names": names,
            "embeddings": rows, "matched": matched, "unknown": unknown, "truncated": truncated,
            "not_found": not_found, "digest": DIGEST,
        }  # fmt: skip

    half = [[1.0, -0.5, 65504.0], [2.0**-14, 2.0**-24, -(3 * 2.0**-24)]]
    return [
        answer(2, ["a", "b"], "f4", [[0.5, -0.25], [0.0, 0.0]], [[3, 0], [1, 70_000], [0, 4]], [],
               "two cells, float32, one without any known gene"),
        answer(2, ["a", "b"], "f2", half, [[1, 2], [0, 0], [0, 0]], [],
               "float16: largest, smallest normal, smallest and a negative subnormal number"),
        answer(3, ["CD3D"], "f4", [[0.125, -8.0, 1024.0]], [], ["SEPT7", "Ä"],
               "genes, two of them not found"),
    ]  # fmt: skip


def genes_in_context() -> list[dict[str, Any]]:
    """Genes in the context of cells. ``rows``: per row its counts, and its vectors by gene."""

    def answer(name: str, symbols: list[str], value_type: str, grouped: bool,
               rows: list[dict[str, Any]], not_found: list[str]) -> dict[str, Any]:  # fmt: skip
        found = [vector for row in rows for vector in row["vectors"]]
        head = {
            "names": [row["name"] for row in rows], "symbols": symbols, "dim": 2,
            "value_type": value_type, "not_found": not_found, "model_digest": DIGEST,
            "grouped": grouped,
        }  # fmt: skip
        arrays = [
            *(numbers("u4", *(row[key] for row in rows))
              for key in ("cells", "matched", "unknown", "truncated")),
            numbers("u4", *(len(row["vectors"]) for row in rows)),
            numbers("u4", *(gene for gene, _, _ in found)),
            numbers("u4", *(count for _, count, _ in found)),
            numbers(value_type, *(x for _, _, vector in found for x in vector)),
        ]  # fmt: skip
        return {
            "name": name, "packed": packed(4, head, *arrays), "symbols": symbols,
            "grouped": grouped, "rows": rows, "not_found": not_found, "digest": DIGEST,
        }  # fmt: skip

    def row(name: str, cells: int, counts: list[int], *vectors: Any) -> dict[str, Any]:
        matched, unknown, truncated = counts
        return {"name": name, "cells": cells, "matched": matched, "unknown": unknown,
                "truncated": truncated, "vectors": [list(v) for v in vectors]}  # fmt: skip

    return [
        answer("cells, float32, one without any vector between two others", ["CD3D", "Ä"], "f4",
               False, [row("a", 1, [2, 0, 0], (0, 1, [0.5, -2.0]), (1, 1, [8.0, 0.25])),
                       row("b", 1, [0, 3, 0]),
                       row("c", 1, [1, 70_000, 4], (1, 1, [-1.0, 1024.0]))], ["SEPT7"]),
        answer("groups, float16, sums over several cells", ["NKG7", "CD3D", "LYZ"], "f2", True,
               [row("B-Zellen äß", 3, [5, 1, 0], (0, 2, [1.5, 65504.0]), (2, 3, [0.0, -0.5])),
                row("T", 300, [900, 0, 2], (1, 300, [2.0**-14, -(2.0**-24)]))], []),
        answer("no vector at all", [], "f4", True, [row("T", 2, [0, 7, 0])], []),
    ]  # fmt: skip


def refused() -> list[dict[str, Any]]:
    """Requests that a reader refuses, and the code with which the model does."""
    genes = ["A", "B", "C"]
    two = header(2, genes, "u1", "u1")
    arrays = (numbers("u4", 2, 1), numbers("u1", 0, 2, 1), numbers("u1", 5, 3, 7))
    cases = {
        "no base64": ("packed_base64", "not base64!"),
        "another magic": ("packed_magic", packed(1, two, *arrays, magic=b"PK\3\4")),
        "another version": ("packed_version", packed(1, two, *arrays, version=2)),
        "another kind": ("packed_kind", packed(9, two, *arrays)),
        "longer than stated": ("packed_length", packed(1, two, *arrays, length=20)),
        "shorter than stated": ("packed_length", packed(1, two, *arrays, length=20_000)),
        "stated too long": ("packed_too_large", packed(1, two, *arrays, length=2**32 - 1)),
        "something follows the stream": ("packed_length", packed(1, two, *arrays, more=b"x")),
        "the stream is cut": ("packed_length", packed(1, two, *arrays, cut=-6)),
        "header longer than the body": ("packed_truncated", packed(1, two, header_length=9_999)),
        "header is no JSON": ("packed_header", packed(1, b"{cells:", *arrays)),
        "arrays end too early": ("packed_truncated", packed(1, two, *arrays[:2])),
        "bytes at the end": ("packed_inconsistent", packed(1, two, *arrays, b"\0")),
        "a column twice": (
            "packed_index_out_of_range",
            packed(1, two, arrays[0], numbers("u1", 1, 0, 1), arrays[2]),
        ),
        "a column beyond the genes": (
            "packed_index_out_of_range",
            packed(1, two, arrays[0], numbers("u1", 0, 3, 1), arrays[2]),
        ),
    }
    return [{"name": n, "code": code, "packed": text} for n, (code, text) in cases.items()]


def refused_genes_in_context() -> list[dict[str, Any]]:
    """Answers about genes in context that a reader refuses."""
    head = {
        "names": ["a"], "symbols": ["A", "B"], "dim": 1, "value_type": "f4", "not_found": [],
        "model_digest": DIGEST, "grouped": False,
    }  # fmt: skip
    per_row, vectors = numbers("u4", 1, 2, 0, 0, 2), numbers("f4", 1, 2)

    def case(name: str, code: str, genes: list[int], counts: list[int], **other: Any) -> Any:
        changed = {**head, **other.get("header", {})}
        kind = other.get("kind", 4)
        arrays = (per_row, numbers("u4", *genes), numbers("u4", *counts), vectors)
        text = packed(kind, changed, *arrays, other.get("more", b""))
        return {"name": name, "code": code, "packed": text}

    return [
        case("an answer about cells", "packed_kind", [0, 1], [1, 1], kind=2),
        case("a gene beyond the symbols", "packed_index_out_of_range", [0, 2], [1, 1]),
        case("genes that fall", "packed_index_out_of_range", [1, 0], [1, 1]),
        case("a gene twice in a row", "packed_index_out_of_range", [0, 0], [1, 1]),
        case("a sum over no cell", "packed_index_out_of_range", [0, 1], [1, 0]),
        case("vectors wider than the body", "packed_truncated", [0, 1], [1, 1], header={"dim": 9}),
        case("bytes at the end", "packed_inconsistent", [0, 1], [1, 1], more=b"\0"),
        case("grouped is no boolean", "packed_header", [0, 1], [1, 1], header={"grouped": 1}),
    ]


def main() -> None:
    for write in (cells, answers, genes_in_context, refused_genes_in_context, refused):
        name, cases = write.__name__, write()
        text = json.dumps(cases, ensure_ascii=False, separators=(",", ":")).replace("},{", "},\n{")
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
