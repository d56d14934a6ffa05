"""Other clients of the API: the SDK's calls behind the vendor's command line."""

from __future__ import annotations

import io

import pytest
from databricks.sdk.errors import NotFound, ResourceDoesNotExist
from databricks.sdk.service.catalog import VolumeType
from databricks.sdk.service.dashboards import Dashboard
from databricks.sdk.service.sql import AlertV2

from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.workspace.clients import call, sdk

pytestmark = pytest.mark.acceptance


def test_experiments_are_listed_without_a_limit(running: Info) -> None:
    """``databricks experiments search-experiments`` and ``list-experiments`` send none, or 0."""
    experiments = sdk(running).experiments
    made = experiments.create_experiment("/Shared/listed").experiment_id
    for found in (
        experiments.search_experiments(),
        experiments.search_experiments(max_results=0),
        experiments.search_experiments(filter="name = '/Shared/listed'"),
        experiments.list_experiments(),
        experiments.list_experiments(max_results=1),
    ):
        assert made in [each.experiment_id for each in found]


def test_a_workspace_is_listed_with_what_lies_in_it(running: Info) -> None:
    client, reader = sdk(running), sdk(running, "local-reader")
    client.workspace.mkdirs("/Shared/deep/folder")
    experiment = client.experiments.create_experiment("/Shared/deep/e").experiment_id
    content = '{"pages": []}'
    dashboard = client.lakeview.create(
        Dashboard(display_name="d", parent_path="/Shared/deep", serialized_dashboard=content)
    )

    def listed(path: str) -> dict[str, object]:
        """Types that this SDK does not know are read as they are sent."""
        answer = call(running, "GET", "/api/2.0/workspace/list", params={"path": path})
        return {each["path"]: each["object_type"] for each in answer.json()["objects"]}

    assert {"/Shared": "DIRECTORY", "/Users": "DIRECTORY"}.items() <= listed("/").items()
    assert listed("/Workspace/Shared/deep") == {
        "/Shared/deep/d.lvdash.json": "DASHBOARD",
        "/Shared/deep/e": "MLFLOW_EXPERIMENT",
        "/Shared/deep/folder": "DIRECTORY",
    }
    assert "/Users/reader@local.test" in listed("/Users")
    everything = [each.path for each in client.workspace.list("/", recursive=True)]
    assert {"/Shared/deep/e", "/Shared/deep/d.lvdash.json"} <= {*everything}
    assert [each.path for each in reader.workspace.list("/Shared/deep")] == ["/Shared/deep/folder"]
    status = client.workspace.get_status("/Shared/deep/e")
    assert (status.object_id, status.resource_id) == (int(str(experiment)), experiment)
    assert client.workspace.get_status("/Shared/deep/d.lvdash.json").resource_id == (
        dashboard.dashboard_id
    )
    client.lakeview.trash(str(dashboard.dashboard_id))
    assert "/Shared/deep/d.lvdash.json" not in listed("/Shared/deep")
    for path in ("/Shared/none", "/Shared/deep/d.lvdash.json"):
        with pytest.raises(ResourceDoesNotExist):
            client.workspace.get_status(path)
        with pytest.raises(NotFound):
            list(client.workspace.list(path))


def test_an_alert_lies_in_its_folder(running: Info) -> None:
    client = sdk(running)
    client.workspace.mkdirs("/Shared/alerts")
    alert = {
        "display_name": "a",
        "query_text": "SELECT 1 AS n",
        "warehouse_id": "0123456789abcdef",
        "parent_path": "/Workspace/Shared/alerts",
        "schedule": {"quartz_cron_schedule": "0 0 * * * ?", "timezone_id": "UTC"},
        "evaluation": {"source": {"name": "n"}, "comparison_operator": "IS_NULL"},
    }
    made = client.alerts_v2.create_alert(AlertV2.from_dict(alert))
    (found,) = client.workspace.list("/Shared/alerts")
    assert (found.path, found.resource_id) == ("/Shared/alerts/a.dbalert.json", made.id)
    client.alerts_v2.trash_alert(str(made.id))
    assert list(client.workspace.list("/Shared/alerts")) == []


def test_where_models_and_volumes_are_stored(running: Info) -> None:
    client = sdk(running)
    client.schemas.create("places2", "main")
    volume = client.volumes.create("main", "places2", "v", VolumeType.MANAGED)
    model = client.registered_models.create(catalog_name="main", schema_name="places2", name="m")
    assert volume.storage_location == "dbfs:/Volumes/main/places2/v"
    assert model.storage_location == "dbfs:/Models/main/places2/m"
    assert client.volumes.read("main.places2.v").storage_location == volume.storage_location
    (listed,) = client.registered_models.list(catalog_name="main", schema_name="places2")
    assert listed.storage_location == model.storage_location
    client.files.upload("/Volumes/main/places2/v/a", io.BytesIO(b"1"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/2.0/mlflow/runs/nothing"),
        ("POST", "/api/2.0/mlflow/traces"),
        ("GET", "/api/2.0/mlflow/artifacts/list"),
        ("DELETE", "/api/2.0/mlflow/runs/get"),
        ("PUT", "/api/2.0/workspace/list"),
        ("GET", "/api/2.1/clusters/list"),
        ("GET", "/api/2.0/serving-endpoints/e/nothing"),
        ("OPTIONS", "/api/2.0/secrets/get"),
        ("GET", "/"),
        ("GET", "/ajax-api/2.0/mlflow/experiments/search"),
    ],
)
def test_every_unknown_route_is_501_in_json(running: Info, method: str, path: str) -> None:
    answer = call(running, method, path)
    assert answer.status_code == 501
    assert answer.json() == {
        "error_code": "NOT_IMPLEMENTED",
        "message": f"The local workspace does not implement {method} {path}",
    }
