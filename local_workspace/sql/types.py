"""DuckDB's types in the words of Databricks."""

from __future__ import annotations

import re

_NAMES = {
    "BOOLEAN": ("BOOLEAN", "BOOLEAN"),
    "TINYINT": ("BYTE", "TINYINT"),
    "SMALLINT": ("SHORT", "SMALLINT"),
    "INTEGER": ("INT", "INT"),
    "BIGINT": ("LONG", "BIGINT"),
    # Sums and counts, which are BIGINT in Databricks.
    "HUGEINT": ("LONG", "BIGINT"),
    "FLOAT": ("FLOAT", "FLOAT"),
    "DOUBLE": ("DOUBLE", "DOUBLE"),
    "VARCHAR": ("STRING", "STRING"),
    "JSON": ("STRING", "STRING"),
    "UUID": ("STRING", "STRING"),
    "BLOB": ("BINARY", "BINARY"),
    "DATE": ("DATE", "DATE"),
    "TIMESTAMP": ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMP", "TIMESTAMP"),
    "INTERVAL": ("INTERVAL", "INTERVAL"),
    '"NULL"': ("NULL", "VOID"),
}
_DECIMAL = re.compile(r"DECIMAL\(\d+,\d+\)")


def type_name(kind: str) -> str:
    """``type_name`` of the API: LONG, STRING, ARRAY, ..."""
    if kind.endswith("[]"):
        return "ARRAY"
    for nested in ("STRUCT", "MAP", "DECIMAL"):
        if kind.startswith(nested):
            return nested
    return _NAMES.get(kind, ("STRING", ""))[0]


def type_text(kind: str) -> str:
    """``type_text`` of the API: BIGINT, ARRAY<STRING>, DECIMAL(10,2), ..."""
    if kind.endswith("[]"):
        return f"ARRAY<{type_text(kind[:-2])}>"
    if _DECIMAL.fullmatch(kind):
        return kind
    return _NAMES.get(kind, ("", kind))[1]
