"""Let the aliases of a model say what was deployed, after a merge that no command saw.

Promotions and rollbacks in the working tree move them at once (``model.registry``). This one needs
no mlflow, which a machine that only deploys does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgpt_databricks.infra.release import CHALLENGER, CHAMPION, PREVIOUS, Manifest

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def follow(client: WorkspaceClient, manifest: Manifest) -> None:
    """Point champion and challenger as the manifest does; the champion before is ``previous``."""
    models = client.registered_models
    found = models.get(manifest.model, include_aliases=True).aliases or []
    now = {str(each.alias_name): each.version_num for each in found}
    wanted: dict[str, int | None] = {
        PREVIOUS: now.get(PREVIOUS),
        CHALLENGER: None,
        **{each.role: each.version for each in manifest.served if each.role != PREVIOUS},
    }
    if now.get(CHAMPION) not in (None, wanted[CHAMPION]):
        wanted[PREVIOUS] = now[CHAMPION]
    # The champion moves last: cut off before that, a second run still finds the one before it.
    for alias in (PREVIOUS, CHALLENGER, CHAMPION):
        version = wanted[alias]
        if version == now.get(alias):
            continue
        if version is None:
            models.delete_alias(manifest.model, alias)
        else:
            models.set_alias(manifest.model, alias, version)
