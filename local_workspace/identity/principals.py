"""Principals of an instance: seeded once, found by token, by name or by group."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from ..core.errors import ApiError, unauthenticated
from ..core.store import Document
from ..core.workspace import BUILDER_APPLICATION_ID, Principal, Workspace, stamps
from . import signing

PROFILES = {"local": "admin", "local-builder": "builder", "local-reader": "reader"}
"""Profile of the Databricks configuration file -> seeded principal, by its personal token."""

OAUTH_PROFILE = "local-oauth"
"""Profile of the builder again, by OAuth for machines: client id and secret."""

GROUPS = ("admins", "scientists", "users")

_SEED: dict[str, Document] = {
    display_name: {
        "id": id_,
        "type": "user" if "@" in name else "service_principal",
        "name": name,
        "display_name": display_name,
        "groups": groups,
    }
    for id_, display_name, name, groups in (
        ("1001", "admin", "admin@local.test", ["admins", "users"]),
        ("1002", "builder", BUILDER_APPLICATION_ID, ["users"]),
        ("1003", "reader", "reader@local.test", ["scientists", "users"]),
    )
}

_CATALOGS = ("main", "dev", "staging", "prod")

# Enough to build and register a model; to publish it (aliases, deletion) takes ownership or MANAGE
# besides.
_BUILDER_PRIVILEGES = (
    *("APPLY_TAG", "CREATE_MODEL", "CREATE_MODEL_VERSION", "CREATE_SCHEMA", "CREATE_TABLE"),
    *("CREATE_VOLUME", "EXECUTE", "MODIFY", "READ_VOLUME", "SELECT", "USE_CATALOG"),
    *("USE_SCHEMA", "WRITE_VOLUME"),
)


def seed(workspace: Workspace) -> None:
    """Fill an empty store: principals, tokens, keys, catalogs and their grants."""
    store = workspace.store
    if store.items("principals"):
        return
    now, owner = workspace.now_ms(), str(_SEED["admin"]["name"])
    with store.transaction():
        store.put("secrets", "url_signing", {"key": secrets.token_hex(32)})
        for name, document in _SEED.items():
            store.put("principals", name, {**document, "token": "local" + secrets.token_hex(16)})
        for catalog in _CATALOGS:
            store.put("catalogs", catalog, catalog_document(workspace, catalog, owner, now))
            grants = {"users": ["USE_CATALOG"], BUILDER_APPLICATION_ID: [*_BUILDER_PRIVILEGES]}
            store.put("grants", f"catalogs/{catalog}", {"grants": grants})


def catalog_document(workspace: Workspace, name: str, owner: str, now_ms: int) -> Document:
    """Return a new catalog as the store keeps it."""
    return {
        "id": workspace.new_id(),
        "name": name,
        "full_name": name,
        "catalog_type": "MANAGED_CATALOG",
        **stamps(owner, now_ms),
    }


def authenticate(workspace: Workspace, header: str | None) -> Principal:
    """Return the principal behind an ``Authorization`` header.

    Raises
    ------
    ApiError
        401 when there is no token, or nobody has it, or it is of one endpoint's data plane.
    """
    token = bearer(header)
    for _, document in workspace.store.items("principals"):
        if hmac.compare_digest(token.encode(), str(document["token"]).encode()):
            return _principal(document)
    issued = signing.read_token(workspace, token)
    found = find(workspace, issued.name) if issued and not issued.details else None
    if found is None:
        raise unauthenticated(
            "Invalid access token. "
            "Take the profile of this instance's Databricks configuration file."
        )
    return found


def bearer(header: str | None) -> str:
    """Return the token in an ``Authorization`` header, or the password of a user ``token``.

    Raises
    ------
    ApiError
        401 when there is none.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            user, _, password = base64.b64decode(token).decode().partition(":")
            scheme, token = ("bearer", password) if user == "token" else ("", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthenticated("Credential was not sent or was of an unsupported type for this API.")
    return token.strip()


def find(workspace: Workspace, name: str) -> Principal | None:
    """Return the user or service principal of a name: an e-mail address or application id."""
    document = _named(workspace, name)
    return _principal(document) if document else None


def is_service_principal(workspace: Workspace, application_id: str) -> bool:
    document = _named(workspace, application_id)
    return document is not None and document["type"] == "service_principal"


def check_known(workspace: Workspace, name: str) -> None:
    """Refuse a name that is no user, service principal or group.

    Raises
    ------
    ApiError
        404 ``PRINCIPAL_DOES_NOT_EXIST``.
    """
    if name.lower() not in GROUPS and find(workspace, name) is None:
        raise ApiError(
            404, "PRINCIPAL_DOES_NOT_EXIST", f"Could not find principal with name {name}"
        )


def tokens(workspace: Workspace) -> list[str]:
    """Return every personal token; recorder and logs must never show one."""
    return [str(document["token"]) for _, document in workspace.store.items("principals")]


def token_of(workspace: Workspace, seeded: str) -> str:
    """Return the token of a seeded principal: ``admin``, ``builder`` or ``reader``."""
    return str((workspace.store.get("principals", seeded) or {})["token"])


def token_for(workspace: Workspace, name: str) -> str:
    """Return the token of the user or service principal of a name, who must exist."""
    return str((_named(workspace, name) or {})["token"])


def write_config(workspace: Workspace, path: Path) -> None:
    """Write the Databricks configuration file of the instance, readable by its owner only.

    Parameters
    ----------
    path
        Replaced in one step. Profiles: :data:`PROFILES` and :data:`OAUTH_PROFILE`.
    """
    text = "".join(
        f"[{profile}]\nhost = {workspace.url}\ntoken = {token_of(workspace, name)}\n\n"
        for profile, name in PROFILES.items()
    )
    text += (
        f"[{OAUTH_PROFILE}]\nhost = {workspace.url}\nclient_id = {BUILDER_APPLICATION_ID}\n"
        f"client_secret = {signing.client_secret(workspace, BUILDER_APPLICATION_ID)}\n\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def _principal(document: Document) -> Principal:
    return Principal(str(document["id"]), str(document["name"]), tuple(document["groups"]))


def _named(workspace: Workspace, name: str) -> Document | None:
    for _, document in workspace.store.items("principals"):
        if str(document["name"]).lower() == name.lower():
            return document
    return None
