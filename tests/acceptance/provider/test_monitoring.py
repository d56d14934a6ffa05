"""Monitoring as Terraform sees it: real Terraform, the stand-in provider, the local workspace."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from scgpt_databricks.local_workspace.stand_in_provider.mirror import write_mirror
from tests.acceptance.provider.conftest import Terraform
from tests.acceptance.site import Site

pytestmark = pytest.mark.acceptance

FOLDER = "/Shared/monitoring"
SECRET = "https://hooks.example.com/very-secret"
SOURCE = {"name": "errors", "aggregation": "MAX"}


def stack(threshold: float = 0.05, title: str = "Requests", cron: str = "0 0 3 * * ?") -> Any:
    """One of each type; the later ones refer to the earlier ones."""
    evaluation = {
        "source": SOURCE,
        "comparison_operator": "GREATER_THAN",
        "threshold": {"value": {"double_value": threshold}},
        "empty_result_state": "OK",
        "notification": {
            "notify_on_ok": True,
            "subscriptions": [{"destination_id": "${databricks_notification_destination.mail.id}"}],
        },
    }
    alert = {
        "display_name": "error rate",
        "query_text": "select 0 as errors",
        "warehouse_id": "${databricks_sql_endpoint.w.id}",
        "parent_path": "/Workspace/Shared",
        "schedule": {"quartz_cron_schedule": "0 0 * * * ?", "timezone_id": "UTC"},
        "evaluation": evaluation,
    }
    page = {"name": "first", "displayName": title, "layout": []}
    return {
        "databricks_mlflow_experiment": {"e": {"name": "/Shared/scgpt"}},
        "databricks_sql_endpoint": {
            "w": {"name": "monitoring", "cluster_size": "2X-Small", "auto_stop_mins": 10}
        },
        "databricks_notification_destination": {
            "mail": {"display_name": "team", "config": {"email": {"addresses": ["a@b.org"]}}},
            "hook": {"display_name": "chat", "config": {"generic_webhook": {"url": SECRET}}},
        },
        "databricks_alert_v2": {"a": alert},
        "databricks_dashboard": {
            "d": {
                "display_name": title,
                "parent_path": FOLDER,
                "warehouse_id": "${databricks_sql_endpoint.w.id}",
                "serialized_dashboard": json.dumps({"datasets": [], "pages": [page]}),
            }
        },
        "databricks_job": {"j": job(cron)},
    }


def job(cron: str) -> dict[str, Any]:
    wheel = {"package_name": "scgpt_databricks", "entry_point": "report", "parameters": ["prod"]}
    return {
        "name": "report",
        "schedule": {"quartz_cron_expression": cron, "timezone_id": "UTC"},
        "environment": [
            {
                "environment_key": "default",
                "spec": {"client": "4", "dependencies": ["/Volumes/main/scgpt/artifacts/x.whl"]},
            }
        ],
        "task": [
            {"task_key": "report", "environment_key": "default", "python_wheel_task": wheel},
            {
                "task_key": "send",
                "depends_on": [{"task_key": "report"}],
                "environment_key": "default",
                "python_wheel_task": {**wheel, "entry_point": "send"},
            },
            {
                "task_key": "tables",
                "job_cluster_key": "spark",
                "library": [
                    {"whl": "/Volumes/a/b/c/x.whl"},
                    {"pypi": {"package": "torch==2.11.0"}},
                ],
                "python_wheel_task": wheel,
            },
        ],
        "job_cluster": [
            {
                "job_cluster_key": "spark",
                "new_cluster": {
                    "spark_version": "17.3.x-cpu-ml-scala2.13",
                    "node_type_id": "m6i.2xlarge",
                    "num_workers": 2,
                    "data_security_mode": "SINGLE_USER",
                    "spark_conf": {"spark.task.cpus": "8"},
                },
            }
        ],
    }


@pytest.fixture
def client(registry: Site) -> WorkspaceClient:
    return WorkspaceClient(config_file=str(registry.folder / "databrickscfg"), profile="local")


@pytest.fixture
def terraform(registry: Site, tmp_path: Path) -> Terraform:
    folder = tmp_path / "stack"
    folder.mkdir()
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TF_CLI_CONFIG_FILE": str(write_mirror(tmp_path / "t", Path(sys.executable)).terraformrc),
        "CHECKPOINT_DISABLE": "1",
        "DATABRICKS_HOST": registry.url,
        "DATABRICKS_TOKEN": registry.token(),
    }
    return Terraform(folder, environment)


def test_from_nothing_to_everything_and_back(terraform: Terraform, client: WorkspaceClient) -> None:
    terraform.write(stack())
    terraform.run("init")
    assert "Plan: 7 to add, 0 to change, 0 to destroy." in terraform.apply()
    terraform.changes(0)

    ids = {a: str(i["attributes"]["id"]) for a, i in terraform.state().items()}
    client.warehouses.edit(ids["databricks_sql_endpoint.w"], cluster_size="Large")
    experiment = ids["databricks_mlflow_experiment.e"]
    client.experiments.update_experiment(experiment, new_name="/Shared/renamed")
    assert "Plan: 0 to add, 2 to change, 0 to destroy." in terraform.apply()
    assert client.warehouses.get(ids["databricks_sql_endpoint.w"]).cluster_size == "2X-Small"

    terraform.write(stack(threshold=0.1, title="Errors", cron="0 30 4 * * ?"))
    assert "Plan: 0 to add, 3 to change, 0 to destroy." in terraform.apply()
    terraform.changes(0)

    (terraform.folder / "terraform.tfstate").unlink()
    blocks = [{"to": address, "id": identifier} for address, identifier in ids.items()]
    terraform.write(stack(threshold=0.1, title="Errors", cron="0 30 4 * * ?"))
    (terraform.folder / "import.tf.json").write_text(json.dumps({"import": blocks}))
    # No API tells whether a dashboard shares its credentials, and where a webhook leads.
    assert "Plan: 7 to import, 0 to add, 2 to change, 0 to destroy." in terraform.apply()
    terraform.changes(0)

    terraform.run("destroy", "-auto-approve")
    assert terraform.state() == {}
    assert [*client.alerts_v2.list_alerts(), *client.jobs.list(), *client.lakeview.list()] == []
    assert SECRET not in "".join(terraform.outputs)
