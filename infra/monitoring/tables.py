"""The tables that our own jobs fill, beside the inference table: their columns, said once."""

from __future__ import annotations

from dataclasses import dataclass

from . import quoted


@dataclass(frozen=True)
class Column:
    """A column as SQL declares it."""

    name: str
    kind: str
    """In the words of Databricks' SQL."""
    comment: str = ""


def _columns(text: str) -> tuple[Column, ...]:
    """Read ``name type: comment``, one line each."""
    found = []
    for line in filter(str.strip, text.splitlines()):
        head, _, comment = line.strip().partition(": ")
        name, _, kind = head.partition(" ")
        found.append(Column(name, kind, comment))
    return tuple(found)


_WHOSE = """
    databricks_request_id string: as in the inference table
    request_time timestamp
    request_date date
    served_entity_id string
"""

REQUESTS = _columns(
    _WHOSE
    + """
    served_entity string: name behind the endpoint
    version int: of the registered model
    model_digest string: that the answer names
    status_code int
    execution_duration_ms bigint
    requester string
    client_request_id string
    data_set string: client_request_id without its last number, else the request
    form string: guide, packed or path
    task string
    reason string: code of a refusal, or why facts are missing; null: all is known
    cells bigint
    matched_genes bigint: added up over the cells
    unknown_genes bigint
    truncated_genes bigint
    truncated_cells bigint
    tokens bigint: matched genes that were not truncated, and one more for each cell
    coverage double: share of the genes with a value that the vocabulary knows
    library_size_median double
    whole_numbers boolean: all values are whole numbers
    embedding_norm double: mean over the cells
    reference_distance double: mean distance to the mean embedding of the baseline
    request_bytes bigint
    response_bytes bigint
    unpacked_at timestamp
"""
)

CELLS = _columns(
    _WHOSE
    + """
    version int
    model_digest string
    requester string
    data_set string
    cell int: position in the request
    cell_id string
    library_size double: sum of the values
    detected_genes int: genes with a value
    matched_genes int
    unknown_genes int
    truncated_genes int
    embedding array<float>
"""
)

DETECTION = _columns(
    _WHOSE
    + """
    data_set string
    cells bigint
    genes array<string>: that some cell of the request expresses
    detected array<int>: cells that express each
"""
)

SET_ASIDE = _columns(
    _WHOSE
    + """
    part string: request, response or row
    reason string
    unpacked_at timestamp
"""
)

DRIFT = _columns(
    """
    looked_at timestamp
    window_start timestamp
    window_end timestamp
    served_entity string
    version int
    cause string: model, input, composition or embedding
    finding string: its name
    alarm boolean
    p_value double
    effect double
    threshold double: p-value at which this look alarms
    data_sets bigint
    requests bigint
    cells bigint
    baseline_digest string
    note string: why there is no number
"""
)

STATUS = _columns(
    """
    looked_at timestamp
    served_entity string
    version int
    workload_type string
    device string: that its log names; null: it does not say
    precision string
    is_fallback boolean: it has a GPU and computes on its CPU
"""
)

TABLES = {
    "requests": REQUESTS,
    "cells": CELLS,
    "detection": DETECTION,
    "set_aside": SET_ASIDE,
    "drift": DRIFT,
    "status": STATUS,
}
"""Kind of table -> its columns."""

COMMENTS = {
    "requests": "scGPT: one row for each request, unpacked from the inference table",
    "cells": "scGPT: one row for each cell of a request",
    "detection": "scGPT: genes that the cells of a request express",
    "set_aside": "scGPT: logged payloads that cannot be understood",
    "drift": "scGPT: one row for each look and cause",
    "status": "scGPT: what each served entity computed on, hour by hour",
}


def create(kind: str, full_name: str) -> str:
    """Return the statement that makes a table where there is none."""
    columns = ",\n  ".join(
        f"{each.name} {each.kind.upper()}" + (f" COMMENT '{each.comment}'" if each.comment else "")
        for each in TABLES[kind]
    )
    comment = COMMENTS[kind]
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(full_name)} (\n  {columns}\n) USING DELTA\n"
        f"COMMENT '{comment}'"
    )
