"""Endpoints over real MLflow scoring processes, driven by the unmodified databricks-sdk."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    OperationFailed,
    PermissionDenied,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.service.serving import (
    AiGatewayInferenceTableConfig,
    EndpointCoreConfigInput,
    EndpointPendingConfig,
    EndpointStateConfigUpdate,
    EndpointStateReady,
    Route,
    ServedEntityInput,
    ServingEndpointAccessControlRequest,
    ServingEndpointPermissionLevel,
    ServingModelWorkloadType,
    TrafficConfig,
)
from databricks.sdk.service.sql import StatementState

from scgpt_databricks.local_workspace.server import instance
from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.serving.conftest import MODEL, sdk

pytestmark = pytest.mark.acceptance

NAME = "marked"
TABLE = "main.served.marked_payload"
CELLS = [{"cell": "x"}, {"cell": "y"}]
WAREHOUSE = "0123456789abcdef"


@pytest.fixture(scope="module")
def builder(running: Info) -> WorkspaceClient:
    """The builder, whose endpoint serves version 1 and logs to a table."""
    client = sdk(running, "local-builder")
    place = {"catalog_name": "main", "schema_name": "served", "table_name_prefix": NAME}
    endpoint = client.serving_endpoints.create_and_wait(
        NAME, config=_config((1, 100)), timeout=_LIMIT
    )
    assert endpoint.state is not None
    assert endpoint.state.ready == EndpointStateReady.READY
    gateway = client.serving_endpoints.put_ai_gateway(
        NAME, inference_table_config=AiGatewayInferenceTableConfig(enabled=True, **place)
    )
    assert gateway.inference_table_config is not None
    assert gateway.inference_table_config.enabled
    return client


_LIMIT = timedelta(minutes=5)


def _config(*shares: tuple[int, int]) -> EndpointCoreConfigInput:
    entities = [
        ServedEntityInput(
            name=f"marked-{version}",
            entity_name=MODEL,
            entity_version=str(version),
            workload_size="Small",
            workload_type=ServingModelWorkloadType.GPU_SMALL,
            scale_to_zero_enabled=False,
        )
        for version, _ in shares
    ]
    routes = [
        Route(served_model_name=f"marked-{version}", traffic_percentage=share)
        for version, share in shares
    ]
    traffic = TrafficConfig(routes=routes)
    return EndpointCoreConfigInput(NAME, served_entities=entities, traffic_config=traffic)


def _update(client: WorkspaceClient, *shares: tuple[int, int]) -> None:
    config = _config(*shares)
    client.serving_endpoints.update_config_and_wait(
        NAME,
        served_entities=config.served_entities,
        traffic_config=config.traffic_config,
        timeout=_LIMIT,
    )


def _marker(client: WorkspaceClient) -> str:
    answer = client.serving_endpoints.query(NAME, dataframe_records=CELLS)
    assert answer.predictions is not None
    assert [row["cell"] for row in answer.predictions] == ["x", "y"]
    (marker,) = {row["marker"] for row in answer.predictions}
    assert answer.served_model_name in ("marked-1", "marked-2")
    return str(marker)


def _rows(client: WorkspaceClient, statement: str) -> list[list[str]]:
    found = client.statement_execution.execute_statement(statement, WAREHOUSE)
    assert found.status is not None
    assert found.status.state == StatementState.SUCCEEDED, found.status.error
    return (found.result and found.result.data_array) or []


def test_two_versions_side_by_side_split_queries_exactly(builder: WorkspaceClient) -> None:
    before = len(_rows(builder, f"SELECT 1 FROM {TABLE}"))
    assert _marker(builder) == "first"
    _update(builder, (1, 90), (2, 10))
    assert Counter(_marker(builder) for _ in range(20)) == {"first": 18, "second": 2}
    with pytest.raises(BadRequest, match="cell"):
        builder.serving_endpoints.query(NAME, dataframe_records=[{"wrong": 1}])
    logged = _rows(
        builder,
        f"SELECT served_entity_id, count_if(status_code = 200), count(*) FROM {TABLE} GROUP BY 1",
    )
    assert sum(int(row[2]) for row in logged) == before + 22
    assert sorted(int(row[1]) for row in logged)[0] == 2
    asked = _rows(builder, f"SELECT request, response FROM {TABLE} WHERE status_code = 400")
    assert json.loads(asked[0][0]) == {"dataframe_records": [{"wrong": 1}]}
    assert "cell" in json.loads(asked[0][1])["message"]


def test_who_may_not_query_is_refused(running: Info, builder: WorkspaceClient) -> None:
    reader = sdk(running, "local-reader")
    with pytest.raises(PermissionDenied, match="CAN_QUERY"):
        reader.serving_endpoints.query(NAME, dataframe_records=CELLS)
    endpoint_id = str(builder.serving_endpoints.get(NAME).id)
    builder.serving_endpoints.set_permissions(
        endpoint_id,
        access_control_list=[
            ServingEndpointAccessControlRequest(
                group_name="scientists", permission_level=ServingEndpointPermissionLevel.CAN_QUERY
            )
        ],
    )
    assert _marker(reader) in ("first", "second")
    with pytest.raises(PermissionDenied, match="CAN_MANAGE"):
        _update(reader, (2, 100))
    refused = reader.statement_execution.execute_statement(f"SELECT 1 FROM {TABLE}", WAREHOUSE)
    assert refused.status is not None
    assert refused.status.state == StatementState.FAILED
    assert "INSUFFICIENT_PERMISSIONS" in str(refused.status.error)


def test_a_version_sees_its_own_code_only(builder: WorkspaceClient) -> None:
    """Version 3 imports this repository, which is installed in the interpreter that serves."""
    before = _marker(builder)
    with pytest.raises(OperationFailed, match="UPDATE_FAILED"):
        _update(builder, (3, 100))
    endpoint = builder.serving_endpoints.get(NAME)
    assert endpoint.state is not None
    assert endpoint.state.config_update == EndpointStateConfigUpdate.UPDATE_FAILED
    assert endpoint.state.ready == EndpointStateReady.READY
    assert isinstance(endpoint.pending_config, EndpointPendingConfig)
    (failed,) = endpoint.pending_config.served_entities or []
    assert failed.state is not None
    assert "No module named 'scgpt_databricks'" in str(failed.state.deployment_state_message)
    assert (
        "No module named 'scgpt_databricks'"
        in builder.serving_endpoints.logs(NAME, "marked-3").logs
    )
    assert _marker(builder) in (before, "first", "second")


def test_logs_metrics_and_openapi(builder: WorkspaceClient) -> None:
    _marker(builder)
    assert "Uvicorn running" in builder.serving_endpoints.logs(NAME, "marked-1").logs
    exported = builder.serving_endpoints.export_metrics(NAME).contents
    assert exported is not None
    assert "request_count_total" in exported.read().decode()
    described = builder.serving_endpoints.get_open_api(NAME).contents
    assert described is not None
    document = json.loads(described.read())
    body = document["paths"]["/invocations"]["post"]["requestBody"]
    record = body["content"]["application/json"]["schema"]["properties"]["dataframe_records"]
    assert record["items"]["required"] == ["cell"]


def test_an_endpoint_that_is_not_ready_or_not_there(builder: WorkspaceClient) -> None:
    with pytest.raises(ResourceDoesNotExist):
        builder.serving_endpoints.query("nobody", dataframe_records=CELLS)
    config = _config((3, 100))
    with pytest.raises(OperationFailed):
        builder.serving_endpoints.create_and_wait("bad", config=config, timeout=_LIMIT)
    with pytest.raises(ResourceConflict, match="not ready"):
        builder.serving_endpoints.query("bad", dataframe_records=CELLS)
    builder.serving_endpoints.delete("bad")


def test_a_killed_workspace_serves_again_and_has_lost_no_row(
    running: Info, builder: WorkspaceClient
) -> None:
    count = f"SELECT count(*) FROM {TABLE}"
    (before,) = _rows(builder, count)[0]
    _update(builder, (2, 100))
    sent = 10
    assert {_marker(builder) for _ in range(sent)} == {"second"}
    assert running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    _wait_until_no_process_serves(running.folder)
    assert running.port is not None
    instance.start(running.folder, running.port, running.config)
    assert _marker(builder) == "second"
    assert int(_rows(builder, count)[0][0]) == int(before) + sent + 1


def _wait_until_no_process_serves(folder: Path, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while left := _processes(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _processes(folder: Path) -> list[str]:
    """Command lines that name a folder of the instance."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found
