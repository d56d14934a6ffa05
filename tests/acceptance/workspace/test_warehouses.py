"""SQL warehouses through the unmodified SDK."""

from __future__ import annotations

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service.sql import (
    CreateWarehouseRequestWarehouseType,
    EndpointTagPair,
    EndpointTags,
    SpotInstancePolicy,
    State,
)

from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.workspace.clients import sdk

pytestmark = pytest.mark.acceptance


@pytest.fixture
def admin(running: Info) -> WorkspaceClient:
    return sdk(running)


def test_a_warehouse_from_creation_to_deletion(running: Info, admin: WorkspaceClient) -> None:
    made = admin.warehouses.create(
        name="monitoring",
        cluster_size="2X-Small",
        auto_stop_mins=10,
        max_num_clusters=1,
        enable_photon=True,
        spot_instance_policy=SpotInstancePolicy.COST_OPTIMIZED,
        warehouse_type=CreateWarehouseRequestWarehouseType.PRO,
        tags=EndpointTags(custom_tags=[EndpointTagPair("team", "ml")]),
    ).result()
    assert made.id is not None
    assert (made.name, made.state, made.num_clusters) == ("monitoring", State.RUNNING, 1)
    assert made.tags == EndpointTags(custom_tags=[EndpointTagPair("team", "ml")])
    assert made.odbc_params is not None
    assert made.odbc_params.path == f"/sql/1.0/warehouses/{made.id}"
    sources = {source.warehouse_id: source.name for source in admin.data_sources.list()}
    assert sources[made.id] == "monitoring"

    admin.warehouses.edit(made.id, cluster_size="Small").result()
    admin.warehouses.stop_and_wait(made.id)
    changed = admin.warehouses.get(made.id)
    assert (changed.cluster_size, changed.auto_stop_mins) == ("Small", 10)
    assert (changed.state, changed.num_clusters) == (State.STOPPED, 0)
    admin.statement_execution.execute_statement("SELECT 1", made.id)
    assert admin.warehouses.get(made.id).state == State.RUNNING

    admin.warehouses.delete(made.id)
    with pytest.raises(NotFound):
        admin.warehouses.get(made.id)
    with pytest.raises(NotFound):
        admin.statement_execution.execute_statement("SELECT 1", made.id)


def test_only_the_first_warehouse_is_open_to_everybody(
    running: Info, admin: WorkspaceClient
) -> None:
    made = admin.warehouses.create(name="closed", cluster_size="2X-Small").result()
    assert made.id is not None
    reader = sdk(running, "local-reader")
    (open_to_all,) = reader.warehouses.list()
    assert open_to_all.id is not None
    reader.statement_execution.execute_statement("SELECT 1", open_to_all.id)
    with pytest.raises(PermissionDenied, match="CAN_USE"):
        reader.statement_execution.execute_statement("SELECT 1", made.id)
    with pytest.raises(PermissionDenied, match="CAN_MANAGE"):
        reader.warehouses.stop(open_to_all.id)
    with pytest.raises(PermissionDenied, match="admins"):
        reader.warehouses.create(name="mine", cluster_size="2X-Small")
    admin.warehouses.delete(made.id)


def test_what_a_warehouse_cannot_be(admin: WorkspaceClient) -> None:
    with pytest.raises(BadRequest, match="'Tiny' is not one of 2X-Small"):
        admin.warehouses.create(name="w", cluster_size="Tiny")
    with pytest.raises(ResourceAlreadyExists, match="already exists"):
        admin.warehouses.create(name="Serverless Starter Warehouse", cluster_size="Small")
    with pytest.raises(BadRequest, match="max_num_clusters 0"):
        admin.warehouses.create(name="w", cluster_size="Small", max_num_clusters=0)
