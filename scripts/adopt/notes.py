"""Notes on what an adoption's files leave out, or say otherwise than the endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scgpt_databricks.infra.endpoint import PLAIN, SIZE
from scgpt_databricks.infra.release import UNKNOWN_DIGEST

from .draft import PRIVILEGES, leading, manifest
from .found import Found

_SHAPE = (*SIZE, "environment_vars")
_DESCRIBED = {
    "": (
        *PLAIN,
        *("name", "id", "config", "ai_gateway", "tags", "email_notifications"),
        *("state", "pending_config", "creator"),
        *("creation_timestamp", "last_updated_timestamp", "permission_level", "endpoint_url"),
        *("data_plane_info", "creator_display_name", "creator_kind", "task", "resource_credential"),
    ),
    "config": ("served_entities", "served_models", "traffic_config", "config_version"),
    "ai_gateway": ("inference_table_config", "usage_tracking_config", "rate_limits"),
}
"""Fields of the endpoint that the settings describe, or that are no settings at all."""


def notes(found: Found, grants: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    """Sentences for whoever adopts the endpoint."""
    return [*_entities(found), *_undescribed(found), *_limits(found), *_privileges(grants)]


def _entities(found: Found) -> Iterator[str]:
    first, released = leading(found), manifest(found)
    own = {each.name for each in released.served}
    for entity in found.entities:
        if entity["name"] in own:
            yield f"served entity {entity['name']!r} keeps its name as long as its version serves"
        if differs := [key for key in _SHAPE if entity.get(key) != first.get(key)]:
            yield (
                f"served entity {entity['name']!r} gets the {', '.join(differs)} of "
                f"{first['name']!r}: one endpoint has one size"
            )
    for served in released.served:
        if served.engine_digest == UNKNOWN_DIGEST:
            yield (
                f"version {served.version} was not built and validated here: the manifest has "
                "zeros for its digests, and every change of the endpoint warns of it until a build "
                "of yours serves"
            )


def _undescribed(found: Found) -> Iterator[str]:
    for place, known in _DESCRIBED.items():
        document = found.endpoint.get(place, {}) if place else found.endpoint
        for key, value in sorted(document.items()):
            if key not in known and value:
                name = f"{place}.{key}".lstrip(".")
                # An update replaces config and gateway as a whole, and nothing beside them.
                end = f"the next change of {place} removes it" if place else "it stays as it is"
                yield f"{name} is not described by the settings: {end}"


def _limits(found: Found) -> Iterator[str]:
    for limit in (found.endpoint.get("ai_gateway") or {}).get("rate_limits") or []:
        if tokens := limit.get("tokens"):
            whom = " ".join(str(limit[key]) for key in ("key", "principal") if limit.get(key))
            yield (
                f"the limit of {tokens} tokens for {whom} is not described by the settings, which "
                "know limits of calls: the next change of ai_gateway removes it"
            )


def _privileges(grants: Mapping[str, Mapping[str, list[str]]]) -> Iterator[str]:
    for kind, by in grants.items():
        for principal, held in by.items():
            if unknown := [each for each in held if each not in PRIVILEGES[kind]]:
                yield f"{principal}: {', '.join(unknown)} on the {kind} stays outside of Terraform"
