"""Aliases follow the manifest that was deployed, in a real registry."""

from __future__ import annotations

from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.deploy.aliases import follow
from scgpt_databricks.scripts.release.point import WorkingTree, point_to
from tests.unit.infra.manifests import served
from tests.unit.scripts.release.lab import Lab


def deployed(lab: Lab, *shares: tuple[int, int, str]) -> dict[str, int]:
    """Deploy the shares of versions as far as aliases go; return what they say then."""
    dev = lab.settings("dev")
    point_to(dev, [served(*share) for share in shares])
    manifest = WorkingTree().find(dev)
    assert manifest is not None
    with connected(dev) as client:
        follow(client, manifest)
        follow(client, manifest)  # the second time nothing moves
    return lab.aliases("dev")


def test_aliases_follow_what_is_served(lab: Lab) -> None:
    name = lab.settings("dev").names.full_model
    create = "/api/2.0/mlflow/unity-catalog/model-versions/create"
    first, second, third = (
        int(lab.call("POST", create, name=name, source="x")["model_version"]["version"])
        for _ in range(3)
    )
    assert deployed(lab, (first, 100, "champion")) == {"champion": first}
    both = deployed(lab, (first, 90, "champion"), (second, 10, "challenger"))
    assert both == {"champion": first, "challenger": second}
    after = deployed(lab, (first, 0, "previous"), (second, 100, "champion"))
    assert after == {"champion": second, "previous": first}
    assert deployed(lab, (third, 100, "champion")) == {"champion": third, "previous": second}
