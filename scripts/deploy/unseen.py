"""Resources that differ from what is declared, and that Terraform alone cannot put right.

What somebody clears in the workspace, the provider often does not see; and what a file no longer
declares, it sends as blanks in two places. Read anew, a resource shows its differences in a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.settings import Settings

from .terraform import Terraform
from .verify import Difference
from .verify.difference import ABSENT, EXISTS

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_IN_STATE = {
    "schema": ("databricks_schema", "id"),
    "volume": ("databricks_volume", "id"),
    "model": ("databricks_registered_model", "id"),
    "warehouse": ("databricks_sql_endpoint", "name"),
    "alert": ("databricks_alert_v2", "display_name"),
    "dashboard": ("databricks_dashboard", "display_name"),
    "query": ("databricks_query", "display_name"),
    "job": ("databricks_job", "name"),
}
"""First word of a difference's resource -> its type in the state, and the attribute with the rest.

Endpoints have calls of their own, and every change of the other types shows in a plan.
"""
_OTHER_RESOURCES = ("permission of ", "grant to ", EXISTS)
"""Fields that stand for access lists, grants and creations, which each plan shows."""
_WAREHOUSE = (
    *("name", "cluster_size", "min_num_clusters", "max_num_clusters", "auto_stop_mins"),
    *("spot_instance_policy", "enable_photon", "enable_serverless_compute", "warehouse_type"),
    *("channel", "instance_profile_arn"),
)


@dataclass(frozen=True)
class Differing:
    """A resource of the state that differs in the workspace from what is declared."""

    terraform: Terraform
    address: str
    identifier: str
    differences: tuple[Difference, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(each.field for each in self.differences)

    def report(self, done: str) -> None:
        self.terraform.report(f"{self.terraform.stack}: {self.address}: {done}")


def differing(terraform: Terraform, found: Iterable[Difference]) -> list[Differing]:
    """Find the resources of a stack to which differences belong."""
    by_name: dict[tuple[str, str], list[Difference]] = {}
    for each in found:
        kind, _, name = each.resource.partition(" ")
        if kind in _IN_STATE and not each.field.startswith(_OTHER_RESOURCES):
            by_name.setdefault((_IN_STATE[kind][0], name), []).append(each)
    if not by_name:
        return []
    attributes = dict(_IN_STATE.values())
    resources = [each for each in terraform.resources() if each["type"] in attributes]
    return [
        Differing(terraform, resource["address"], str(resource["values"]["id"]), tuple(theirs))
        for resource in resources
        if (theirs := by_name.get((resource["type"], _named(resource, attributes))))
    ]


def _named(resource: Mapping[str, Any], attributes: dict[str, str]) -> str:
    return str(resource["values"].get(attributes[resource["type"]]))


def take_away(client: WorkspaceClient, settings: Settings, resource: Differing) -> bool:
    """Send what is declared no longer, where the provider sends blanks; False for nothing."""
    undeclared = [each.field for each in resource.differences if each.declared in (ABSENT, [])]
    kind = resource.address.partition(".")[0]
    if kind == "databricks_job" and any(field.startswith("emails.") for field in undeclared):
        gone = "email_notifications"
        client.jobs.update(int(resource.identifier), fields_to_remove=[gone])
    elif kind == "databricks_sql_endpoint" and any(
        field.startswith("tags.") for field in undeclared
    ):
        gone = "tags"
        path = f"/api/2.0/sql/warehouses/{resource.identifier}"
        there = client.api_client.do("GET", path)
        assert isinstance(there, dict)
        body = {key: there[key] for key in _WAREHOUSE if key in there}
        tags = [{"key": key, "value": value} for key, value in sorted(settings.tags.items())]
        client.api_client.do("POST", f"{path}/edit", body=body | {"tags": {"custom_tags": tags}})
    else:
        return False
    resource.report(f"{gone} taken away through the API")
    return True


def read_anew(resource: Differing) -> None:
    """Let the state hold what the workspace has, so that a plan shows what differs."""
    resource.terraform.take_anew(resource.address, resource.identifier)
    resource.report("read anew")
