"""The endpoint that the examples make: the environment's own, described for the REST API.

The names, sizes and versions come from an environment's TOML file and release manifest, so that the
result is what ``scgpt deploy`` makes; each can be given on the command line instead.
"""

from __future__ import annotations

import argparse
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from scgpt_databricks.infra import endpoint, release, settings
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings


def arguments(text: str | None) -> argparse.Namespace:
    """The command line, the same for every example; ``text`` is the script's docstring."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "environment",
        metavar="ENV",
        nargs="?",
        default="local",
        help="environment with the defaults",
    )
    parser.add_argument("--name", help="endpoint; default: the environment's")
    parser.add_argument("--model", help="catalog.schema.model; default: the environment's")
    parser.add_argument("--version", type=int, help="version; default: the release manifest's")
    parser.add_argument("--workload-type", help="CPU, GPU_SMALL, ...; default: the environment's")
    return parser.parse_args()


def describe(given: argparse.Namespace) -> dict[str, Any]:
    """Return the body of ``POST /api/2.0/serving-endpoints``."""
    wanted = settings.load(given.environment)
    body = endpoint.describe(wanted, _release(wanted, given))
    if given.workload_type:
        for entity in body["config"]["served_entities"]:
            entity["workload_type"] = given.workload_type
    gateway = body.get("ai_gateway", {})
    if given.name and given.name != body["name"]:
        body["name"] = given.name
        if table := gateway.get("inference_table_config"):
            # A table is one endpoint's: beside the environment's own, another one has another.
            table["table_name_prefix"] = re.sub(r"\W", "_", given.name)
    return {key: value for key, value in body.items() if value} | {"ai_gateway": gateway}


def access(given: argparse.Namespace, creator: str) -> list[dict[str, str]]:
    """Return the body's list of ``PUT /api/2.0/permissions/serving-endpoints/ID``.

    The call replaces the whole list, so whoever made the endpoint has to be in it.
    """
    entries = endpoint.access_list(settings.load(given.environment))
    if entries and not any(creator in entry.values() for entry in entries):
        entries.append({_kind(creator): creator, "permission_level": "CAN_MANAGE"})
    return entries


def _kind(principal: str) -> str:
    """Service principals go by their application id."""
    try:
        uuid.UUID(principal)
    except ValueError:
        return "user_name"
    return "service_principal_name"


def _release(wanted: Settings, given: argparse.Namespace) -> Manifest:
    """Return the environment's release, or one of the version that was named."""
    model = given.model or wanted.names.full_model
    if not given.version:
        manifest = release.find(wanted.manifest_path, model=wanted.names.full_model)
        if manifest is None:
            raise SystemExit(f"{wanted.environment}: nothing released yet; give --version")
        return manifest.model_copy(update={"model": model})
    unknown = release.UNKNOWN_DIGEST
    served = Served(
        version=given.version,
        traffic=100,
        role=release.CHAMPION,
        run_id="unknown",
        checkpoint_sha256=unknown,
        signature_digest=unknown,
        engine_digest=unknown,
    )
    now = datetime.now(UTC)
    return Manifest(model=model, git_commit="unknown", created_at=now, served=(served,))
