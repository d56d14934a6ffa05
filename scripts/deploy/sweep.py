"""Second copies that a creation left when its answer was lost.

A throttled or broken-off answer makes the provider send a creation again. Where names are unique,
the second one is refused; of what has no unique name there are two then, and one is in no state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scgpt_databricks.infra.guards import Facts

from .facts import live_alerts
from .results import StackPlan

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from .terraform import Terraform


@dataclass(frozen=True)
class _Kind:
    """A type of resource whose names are not unique."""

    name: str
    """Attribute that holds the name."""
    ids: Callable[[WorkspaceClient, str], list[str]]
    remove: Callable[[WorkspaceClient, str], object]


_KINDS = {
    "databricks_job": _Kind(
        "name",
        lambda client, name: [str(each.job_id) for each in client.jobs.list(name=name)],
        lambda client, id_: client.jobs.delete(int(id_)),
    ),
    "databricks_alert_v2": _Kind(
        "display_name",
        lambda client, name: [
            str(each.id) for each in live_alerts(client) if each.display_name == name
        ],
        lambda client, id_: client.alerts_v2.trash_alert(id_),
    ),
    "databricks_dashboard": _Kind(
        "display_name",
        lambda client, name: [
            str(each.dashboard_id) for each in client.lakeview.list() if each.display_name == name
        ],
        lambda client, id_: client.lakeview.trash(id_),
    ),
    "databricks_notification_destination": _Kind(
        "display_name",
        lambda client, name: [
            str(each.id)
            for each in client.notification_destinations.list()
            if each.display_name == name
        ],
        lambda client, id_: client.notification_destinations.delete(id_),
    ),
}


def sweep(client: WorkspaceClient, terraform: Terraform, planned: StackPlan, known: Facts) -> None:
    """Remove the copies, to be called after an apply.

    Where none of that name was there before it, what is there now was made by it, and what is not
    in the state is a copy. Where the state has none, one is left, which the next deploy takes over.
    Where there was one, which a waiver let pass, nobody knows whose the others are: all stay.
    """
    created = [
        (change.address, _KINDS[change.type], change.after)
        for change in planned.plan.changes
        if change.type in _KINDS and change.created and change.address not in known.existing
    ]
    for address, kind, after in created:
        found = kind.ids(client, after[kind.name])
        if len(found) < 2:
            continue
        in_state = terraform.ids()
        kept = next((each for each in found if each in in_state), found[0])
        for copy in found:
            if copy != kept:
                kind.remove(client, copy)
                terraform.report(f"{terraform.stack}: {address}: a second copy is removed")
