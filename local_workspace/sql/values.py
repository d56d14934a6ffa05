"""Values and types of a result, as the statement API writes them."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import date, datetime
from typing import Any

_TYPES = {
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


def as_text(value: Any) -> str | None:
    """Return a value as the JSON_ARRAY format writes it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="milliseconds")
        return f"{text}Z" if value.tzinfo else text
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, dict)):
        return json.dumps(value, default=as_text)
    return value.isoformat() if isinstance(value, date) else str(value)


def type_name(kind: str) -> str:
    """``type_name`` of the API: LONG, STRING, ARRAY, ..."""
    if kind.endswith("[]"):
        return "ARRAY"
    for nested in ("STRUCT", "MAP", "DECIMAL"):
        if kind.startswith(nested):
            return nested
    return _TYPES.get(kind, ("STRING", ""))[0]


def type_text(kind: str) -> str:
    """``type_text`` of the API: BIGINT, ARRAY<STRING>, DECIMAL(10,2), ..."""
    if kind.endswith("[]"):
        return f"ARRAY<{type_text(kind[:-2])}>"
    if _DECIMAL.fullmatch(kind):
        return kind
    return _TYPES.get(kind, ("", kind))[1]
