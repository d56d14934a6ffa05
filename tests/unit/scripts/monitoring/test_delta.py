"""Tables as they lie in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow
import pyarrow.parquet
from deltalake import DeltaTable

from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.scripts.monitoring import delta

pa: Any = pyarrow
pq: Any = pyarrow.parquet

CELLS, WIDTH = 3_000, 16


def test_vectors_take_less_room_than_their_numbers_and_are_read_back(tmp_path: Path) -> None:
    """Ids are as long as together no dictionary of a column may be."""
    vectors = np.random.default_rng(0).normal(size=(CELLS, WIDTH)).astype(np.float32)
    schema = delta.arrow_schema(TABLES["cells"])
    rows = pa.Table.from_pylist(
        [
            {"cell": i, "cell_id": f"{i:0500}", "embedding": each}
            for i, each in enumerate(vectors.tolist())
        ],
        schema,
    )
    delta.append(DeltaTable.create(str(tmp_path), schema), rows, {})
    (file,) = DeltaTable(str(tmp_path)).file_uris()
    group = pq.ParquetFile(file.removeprefix("file://")).metadata.row_group(0)
    column = group.column(schema.get_field_index("embedding"))
    assert column.encodings == ("RLE", "BYTE_STREAM_SPLIT")
    assert column.total_compressed_size < 0.95 * vectors.nbytes
    assert DeltaTable(str(tmp_path)).to_pyarrow_table().cast(schema) == rows
    read = duckdb.sql(f"SELECT embedding FROM read_parquet('{file}') ORDER BY cell").fetchnumpy()
    assert np.array_equal(np.stack(read["embedding"]), vectors)
