"""Describe a found endpoint in our files: an environment's settings and its release manifest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from scgpt_databricks.infra.endpoint import tables_of
from scgpt_databricks.infra.errors import RefusedError
from scgpt_databricks.infra.naming import served_entity
from scgpt_databricks.infra.release import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    UNKNOWN_DIGEST,
    Manifest,
    Role,
    Served,
)
from scgpt_databricks.infra.settings import is_loopback
from scgpt_databricks.infra.settings.access import ModelPrivilege, SchemaPrivilege, VolumePrivilege

from .found import Found

PRIVILEGES = {
    "schema": get_args(SchemaPrivilege),
    "model": get_args(ModelPrivilege),
    "volume": get_args(VolumePrivilege),
    "checkpoints_volume": get_args(VolumePrivilege),
}


def settings_tables(
    found: Found,
    *,
    profile: str | None,
    state: Mapping[str, Any],
    grants: Mapping[str, Mapping[str, list[str]]],
    cloud: str | None = None,
) -> dict[str, Any]:
    """The tables of the environment's TOML file; what the endpoint leaves out stays out."""
    catalog, schema, model = found.model
    local = is_loopback(found.host)
    return {
        "catalog": catalog,
        "schema": schema,
        "model": model,
        **({"cloud": cloud} if cloud else {}),
        "deletion_protection": True,
        "workspace": {
            **({"local": True} if local else {"host": found.host.rstrip("/")}),
            **({"profile": profile} if profile else {}),
        },
        **tables_of(found.endpoint, leading(found)),
        "monitoring": {"enabled": False},
        "permissions": {
            kind: {principal: level for k, principal, level in sorted(found.access) if k == kind}
            for kind in sorted({kind for kind, _, _ in found.access})
        },
        **({"grants": granted} if (granted := _grants(grants)) else {}),
        "tags": {t["key"]: t.get("value", "") for t in found.endpoint.get("tags", [])},
        "state": dict(state),
    }


def leading(found: Found) -> dict[str, Any]:
    """The entity with most of the traffic, the newest of several."""
    return max(
        found.entities, key=lambda e: (found.traffic(str(e["name"])), int(e["entity_version"]))
    )


def _grants(grants: Mapping[str, Mapping[str, list[str]]]) -> list[dict[str, Any]]:
    """One entry per principal, of the privileges that the settings know."""
    entries: dict[str, dict[str, Any]] = {}
    for kind, by in grants.items():
        for principal, held in sorted(by.items()):
            if known := [privilege for privilege in held if privilege in PRIVILEGES[kind]]:
                entries.setdefault(principal, {"principal": principal})[kind] = known
    return [entries[principal] for principal in sorted(entries)]


def manifest(found: Found) -> Manifest:
    """The release that the endpoint serves."""
    champion = int(leading(found)["entity_version"])
    served = []
    for entity in found.entities:
        version, traffic = int(entity["entity_version"]), found.traffic(str(entity["name"]))
        role: Role = CHALLENGER if traffic else PREVIOUS
        registered = found.versions[version]
        name = str(entity["name"])
        tags = {tag["key"]: tag["value"] for tag in registered.get("tags", [])}
        served.append(
            Served(
                version=version,
                traffic=traffic,
                role=CHAMPION if version == champion else role,
                run_id=registered.get("run_id") or "unknown",
                checkpoint_sha256=tags.get("checkpoint_sha256", UNKNOWN_DIGEST),
                signature_digest=tags.get("signature_digest", UNKNOWN_DIGEST),
                engine_digest=tags.get("engine_digest", UNKNOWN_DIGEST),
                name=None if name == served_entity(found.model[2], version) else name,
            )
        )
    if (total := sum(each.traffic for each in served)) != 100:
        raise RefusedError(f"{found.endpoint['name']}: its traffic adds up to {total}, not to 100")
    changed = int(found.endpoint.get("last_updated_timestamp", 0)) / 1000
    return Manifest(
        model=".".join(found.model),
        git_commit="adopted",
        created_at=datetime.fromtimestamp(changed, UTC),
        served=tuple(served),
    )
