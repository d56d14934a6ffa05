"""A folder of Delta tables, and the client that finds them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
from databricks.sdk.errors import NotFound
from deltalake import DeltaTable, write_deltalake

from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.local_workspace.serving.inference import SCHEMA
from scgpt_databricks.scripts.monitoring import delta, unpack
from scgpt_databricks.scripts.monitoring.rows import Entity

pa: Any = pyarrow

TABLE = "main.scgpt.x_payload"
ENTITIES = {"e" * 32: Entity("scgpt-3", 3)}


@dataclass
class Place:
    """Stands in for a client: of its tables, and of the files in its volumes."""

    folder: Path
    refused: Exception | None = None
    stored: dict[str, bytes] = field(default_factory=dict)

    @property
    def tables(self) -> Place:
        return self

    @property
    def files(self) -> Place:
        return self

    def get(self, full_name: str) -> Any:
        if self.refused is not None:
            raise self.refused
        path = self.folder / full_name
        if not path.exists():
            raise NotFound(f"Table '{full_name}' does not exist.")
        return type("Table", (), {"storage_location": path.as_uri()})()

    def create_directory(self, path: str) -> None:
        pass

    def upload(self, path: str, contents: Any, overwrite: bool) -> None:
        self.stored[path] = contents.read()

    def download(self, path: str) -> Any:
        if path not in self.stored:
            raise NotFound(path)
        return type("Download", (), {"contents": io.BytesIO(self.stored[path])})()

    def make(self) -> Place:
        for kind, columns in TABLES.items():
            DeltaTable.create(
                str(self.folder / f"main.scgpt.x_{kind}"), delta.arrow_schema(columns)
            )
        DeltaTable.create(str(self.folder / TABLE), SCHEMA)
        return self

    def log(self, rows: list[dict[str, Any]]) -> None:
        table = pa.Table.from_pylist(rows, SCHEMA)
        write_deltalake(str(self.folder / TABLE), table, mode="append")

    def put(self, kind: str, rows: list[dict[str, Any]]) -> None:
        """Put rows into a table of ours."""
        table = pa.Table.from_pylist(rows, delta.arrow_schema(TABLES[kind]))
        write_deltalake(str(self.folder / f"main.scgpt.x_{kind}"), table, mode="append")

    def rows(self, kind: str) -> list[dict[str, Any]]:
        path = str(self.folder / f"main.scgpt.x_{kind}")
        found: list[dict[str, Any]] = DeltaTable(path).to_pyarrow_table().to_pylist()
        return found

    def unpack(self, source: str | None = None) -> unpack.Done:
        client: Any = self
        return unpack.unpack(client, TABLE, entities=ENTITIES, source=source)

    def counted(self) -> tuple[int, int]:
        """Return requests and cells, each of which must be there once."""
        requests = [row["databricks_request_id"] for row in self.rows("requests")]
        cells = [(row["databricks_request_id"], row["cell"]) for row in self.rows("cells")]
        assert len({*requests}) == len(requests)
        assert len({*cells}) == len(cells)
        return len(requests), len(cells)
