"""Tables as they lie in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from deltalake import DeltaTable

from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.scripts.monitoring import delta

pa: Any = pyarrow
pq: Any = pyarrow.parquet

READ_BY_SPARK = {"PLAIN", "RLE", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}
"""Spark's reader of columns stops at others, at BYTE_STREAM_SPLIT for one, which suits vectors."""


def test_every_reader_knows_how_vectors_are_stored(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
    schema = delta.arrow_schema(TABLES["cells"])
    rows = pa.Table.from_pylist(
        [{"cell": i, "embedding": each} for i, each in enumerate(vectors.tolist())], schema
    )
    delta.append(DeltaTable.create(str(tmp_path), schema), rows, {})
    (file,) = DeltaTable(str(tmp_path)).file_uris()
    group = pq.ParquetFile(file.removeprefix("file://")).metadata.row_group(0)
    used = {kind for i in range(group.num_columns) for kind in group.column(i).encodings}
    assert used <= READ_BY_SPARK
    assert DeltaTable(str(tmp_path)).to_pyarrow_table().cast(schema) == rows
