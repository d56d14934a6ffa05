"""What is asked of a workspace, for its tables and its jobs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.errors import NotFound, OperationFailed
from databricks.sdk.service.jobs import RunResultState

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring.tables import TABLES, create
from scgpt_databricks.infra.naming import beside
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.scripts.watch import jobs, tables


@pytest.fixture(scope="module")
def local() -> Settings:
    return settings.load("local")


def client_with(*names: str) -> Any:
    def exists(name: str) -> Any:
        return SimpleNamespace(table_exists=name in names)

    return SimpleNamespace(
        tables=SimpleNamespace(exists=exists, get=lambda name: SimpleNamespace(table_id="t-1")),
        schemas=SimpleNamespace(get=lambda name: SimpleNamespace(schema_id="s-1")),
    )


def test_init_makes_the_tables_that_are_not_there(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    there = beside(str(local.names.inference_table), "cells")
    monkeypatch.setattr(tables, "workspace_client", lambda _: client_with(there))
    monkeypatch.setattr(tables, "warehouse_of", lambda *_: "w")
    monkeypatch.setattr(tables, "rows", lambda client, statement, warehouse: said.append(statement))
    planned = tables.init(local, dry_run=True)
    assert not said
    assert planned.profile is None, "a table that is not there has no id"
    made = tables.init(local)
    assert dataclasses.replace(made, profile=None) == planned
    assert made.profile == {"table_id": "t-1", "schema_id": "s-1"}
    assert made.there == (there,)
    assert len(said) == len(made.made) == len(TABLES) - 1
    assert str(local.names.requests_table) in made.made


def test_tables_without_their_schema_need_a_deploy_first(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(name: str) -> Any:
        raise NotFound(f"Schema '{name}' does not exist.")

    monkeypatch.setattr(
        tables, "workspace_client", lambda _: SimpleNamespace(schemas=SimpleNamespace(get=get))
    )
    with pytest.raises(DeployError, match=r"no schema main\.scgpt .*`scgpt deploy local` comes"):
        tables.init(local)


def test_an_environment_that_logs_nothing_says_so(local: Settings, tmp_path: Path) -> None:
    names = local.names.__class__(**{**vars(local.names), "inference_table_prefix": None})
    silent: Any = SimpleNamespace(environment="local", names=names)
    with pytest.raises(DeployError, match=r"gateway\.inference_table_prefix"):
        tables.logged_table(silent)


def test_every_column_is_declared() -> None:
    text = create("cells", "main.odd-name.x_cells")
    assert text.startswith("CREATE TABLE IF NOT EXISTS main.`odd-name`.x_cells (")
    assert "embedding ARRAY<FLOAT>" in text
    for kind, columns in TABLES.items():
        names = [column.name for column in columns]
        assert len({*names}) == len(names)
        assert all(f"  {name} " in create(kind, "a.b.c") for name in names)


def ended(state: RunResultState) -> Callable[..., Any]:
    def wait(run_id: int, timeout: Any) -> Any:
        return SimpleNamespace(
            state=SimpleNamespace(result_state=state), tasks=[SimpleNamespace(run_id=7)]
        )

    return wait


def workspace(name: str, wait: Callable[..., Any], output: Any) -> Any:
    known = [SimpleNamespace(job_id=1)]
    return (
        SimpleNamespace(
            jobs=SimpleNamespace(
                list=lambda name: known if name == name_of_job else [],
                run_now=lambda job_id: SimpleNamespace(run_id=5),
                wait_get_run_job_terminated_or_skipped=wait,
                get_run_output=lambda run_id: output,
            )
        )
        if (name_of_job := name)
        else None
    )


def test_a_job_gives_the_object_that_it_printed_last(local: Settings) -> None:
    name = local.names.watched("unpack payloads")
    output = SimpleNamespace(logs="a note\n" + json.dumps({"requests": 3}) + "\n", error=None)
    client = workspace(name, ended(RunResultState.SUCCESS), output)
    assert jobs.run_job(client, local, "unpack", print) == {"requests": 3}


def test_a_job_that_is_missing_or_fails_says_why(local: Settings) -> None:
    name = local.names.watched("unpack payloads")
    output = SimpleNamespace(logs="", error="there is no table x")
    failed = workspace(name, ended(RunResultState.FAILED), output)
    with pytest.raises(DeployError, match="there is no table x"):
        jobs.run_job(failed, local, "unpack", print)
    with pytest.raises(DeployError, match="deploy the monitoring stack of local"):
        jobs.run_job(
            workspace("another", ended(RunResultState.FAILED), output), local, "unpack", print
        )

    def broken(run_id: int, timeout: Any) -> Any:
        raise OperationFailed("INTERNAL_ERROR")

    with pytest.raises(DeployError, match="INTERNAL_ERROR"):
        jobs.run_job(workspace(name, broken, output), local, "unpack", print)
