"""Delta tables of the local workspace: found by their names, read and written by deltalake.

On Databricks the same jobs go through Spark (:mod:`.spark`): files of managed tables are for the
platform alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.dataset

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring import quoted
from scgpt_databricks.infra.monitoring.tables import Column

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from deltalake import DeltaTable

pa: Any = pyarrow  # its annotations cover too little to check against
ds: Any = pyarrow.dataset

_KINDS = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "array<string>": pa.list_(pa.string()),
    "array<int>": pa.list_(pa.int32()),
    "array<float>": pa.list_(pa.float32()),
}


def arrow_schema(columns: Sequence[Column]) -> Any:
    """Return the Arrow schema of a table of ours."""
    return pa.schema([(each.name, _KINDS[each.kind]) for each in columns])


def location(client: WorkspaceClient, full_name: str, hint: str) -> str:
    """Return where the files of a table lie.

    Parameters
    ----------
    hint
        What to do where there is no such table.

    Raises
    ------
    DeployError
        There is none, or the caller may not read it; the sentence names the grant.
    """
    from databricks.sdk.errors import NotFound, PermissionDenied

    try:
        return str(client.tables.get(full_name).storage_location)
    except NotFound as error:
        raise DeployError(f"there is no table {full_name}: {hint}") from error
    except PermissionDenied as error:
        raise DeployError(
            f"{full_name} cannot be read: {error}. Ask for GRANT SELECT ON TABLE "
            f"{quoted(full_name)}, with USE CATALOG and USE SCHEMA on the way to it"
        ) from error


def is_local(place: str) -> bool:
    """Return True where this process can read the files of a table itself."""
    return place.startswith("file:")


def open_table(place: str, version: int | None = None) -> DeltaTable:
    """Open a table at its newest version, or at an older one."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return DeltaTable(place, version=version)
    except (DeltaError, OSError) as error:
        raise DeployError(f"the Delta table at {place} cannot be read: {error}") from error


def files_since(table: DeltaTable, version: int | None) -> list[str]:
    """Return the files of a table that it did not have at an older version.

    Files that were rewritten since are among them, and all are where the log no longer reaches back
    so far: whoever reads them must know rows that were read before.
    """
    now = table.file_uris()
    if version is None:
        return now
    try:
        before = {*open_table(table.table_uri, version).file_uris()}
    except DeployError:
        return now
    return [file for file in now if file not in before]


def batches(
    files: Sequence[str], columns: Mapping[str, str], rows: int, where: Any = None
) -> Iterator[Any]:
    """Read some columns of files, a few rows at a time.

    Parameters
    ----------
    columns
        Name in the result -> name in the files.
    rows
        Of a batch, at most: payloads are long, and no more of them is held in memory.
    """
    fields = {name: ds.field(source) for name, source in columns.items()}
    for file in files:
        source = ds.dataset(file.removeprefix("file://"), format="parquet")
        yield from source.to_batches(
            columns=fields,
            filter=where,
            batch_size=rows,
            batch_readahead=1,
            fragment_readahead=1,
            use_threads=False,
        )


def append(table: DeltaTable, rows: Any, transactions: Mapping[str, int]) -> None:
    """Append rows in one commit.

    Parameters
    ----------
    transactions
        Name of an application -> its number, which the commit remembers.

    Raises
    ------
    DeployError
        Another process wrote under the same names meanwhile; nothing was written.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake
    from deltalake.exceptions import CommitFailedError

    known = [Transaction(name, number) for name, number in transactions.items()]
    try:
        write_deltalake(
            table, rows, mode="append", commit_properties=CommitProperties(app_transactions=known)
        )
    except CommitFailedError as error:
        raise DeployError(
            f"another run writes {table.table_uri} as well; this one stopped, and nothing is in it "
            f"twice. Run it again when that has ended ({error})"
        ) from error
