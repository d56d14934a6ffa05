"""Second copies that a creation left when its answer was lost.

A throttled or broken-off answer makes the provider send a creation again. Where names are unique,
the second one is refused; of what has no unique name there are two then, and one is in no state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from scgpt_databricks.infra.guards import Facts

from .facts import LISTED
from .results import StackPlan

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from .terraform import Terraform


_REMOVE: dict[str, Callable[[WorkspaceClient, str], object]] = {
    "job": lambda client, id_: client.jobs.delete(int(id_)),
    "alert_v2": lambda client, id_: client.alerts_v2.trash_alert(id_),
    "dashboard": lambda client, id_: client.lakeview.trash(id_),
    "notification_destination": lambda client, id_: client.notification_destinations.delete(id_),
}
"""Types whose names are not unique, and how one is removed."""


def sweep(client: WorkspaceClient, terraform: Terraform, planned: StackPlan, known: Facts) -> None:
    """Remove the copies, to be called after an apply.

    If no object had this name before, the apply created all that have it now, and those that the
    state does not hold are copies. Where the state holds none, one stays for the next deploy to
    take over. Where there was one before, which a waiver let pass, all stay.
    """
    for change in planned.plan.changes:
        kind = change.type.removeprefix("databricks_")
        if kind not in _REMOVE or not change.created or change.address in known.existing:
            continue
        listed = LISTED[kind]
        same = listed.find(client, change.after[listed.named])
        found = [str(getattr(each, listed.id)) for each in same]
        if len(found) < 2:
            continue
        in_state = terraform.ids()
        kept = next((each for each in found if each in in_state), found[0])
        for copy in found:
            if copy != kept:
                _REMOVE[kind](client, copy)
                terraform.report(f"{terraform.stack}: {change.address}: a second copy is removed")
