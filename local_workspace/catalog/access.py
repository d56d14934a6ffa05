"""Access to securables: the rules that route tables name and that handlers ask.

Unity Catalog's model, enforced: privileges are granted to principals or groups, are inherited from
the catalog to everything inside, and reaching an object also needs ``USE_CATALOG`` and
``USE_SCHEMA`` on the way. Owners, holders of ``MANAGE`` and admins manage.
"""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import forbidden, invalid
from ..core.routing import Call, Rule
from ..core.workspace import Principal, Workspace
from . import securables
from .securables import KINDS, Kind

ALL = "ALL_PRIVILEGES"
MANAGE = "MANAGE"
OWN = "OWN"
"""Not a privilege that can be granted: ownership or ``MANAGE`` of the object or of one of its
containers."""


def admin(call: Call) -> None:
    """Rule: members of `admins` only."""
    if not call.principal.is_admin:
        raise forbidden(
            f"{call.principal.name} is not in group 'admins', which this operation needs."
        )


def on(kind: str, name: str | Callable[[Call], str], *privileges: str) -> Rule:
    """Rule: one of `privileges` on a securable that exists, and the way to it.

    Parameters
    ----------
    kind
        Key of :data:`.securables.KINDS`.
    name
        Path parameter that holds the full name, or a function that reads it from the call.
    privileges
        Any one of them is enough; :data:`OWN` stands for ownership or ``MANAGE``.
    """

    def rule(call: Call) -> None:
        full_name = call.path[name] if isinstance(name, str) else name(call)
        require(call.workspace, call.principal, kind, full_name, *privileges)

    return rule


def named(field: str) -> Callable[[Call], str]:
    """Reads a full name from the body, or from the query where the call has no body."""

    def read(call: Call) -> str:
        value = call.query.get(field) if call.request.method == "GET" else call.need(field)
        if not isinstance(value, str) or not value:
            raise invalid(f"Missing required field: {field}")
        return value

    return read


def require(
    workspace: Workspace, principal: Principal, kind: str, full_name: str, *privileges: str
) -> None:
    """Refuse unless the securable exists and the principal may reach it with one of `privileges`.

    Raises
    ------
    ApiError
        404 when it does not exist, 403 naming the privilege that is missing.
    """
    securables.get(workspace, kind, full_name)
    lacking = _lacking(workspace, principal, kind, full_name, privileges)
    if lacking is not None:
        raise _refusal(principal, *lacking)


def allows(
    workspace: Workspace, principal: Principal, kind: str, full_name: str, *privileges: str
) -> bool:
    """Return whether :func:`require` would let the principal through to one that exists."""
    return _lacking(workspace, principal, kind, full_name, privileges) is None


def _lacking(
    workspace: Workspace, principal: Principal, kind: str, full_name: str, wanted: tuple[str, ...]
) -> tuple[Kind, str, tuple[str, ...]] | None:
    """Return the first securable on the way, and what the principal would need there."""
    if principal.is_admin:
        return None
    own, *containers = securables.chain(KINDS[kind], full_name)
    way = [(container, name, (container.usage,)) for container, name in containers]
    for level, name, needed in [*way, (*own, wanted)]:
        if not _may(workspace, principal, level, name, needed):
            return level, name, needed
    return None


def held(workspace: Workspace, principal: Principal, kind: Kind, full_name: str) -> set[str]:
    """Return the privileges on a securable and its containers; :data:`OWN` for owners.

    The owner holds every privilege on the object itself; the owner of a container may manage what
    is inside but not read it.
    """
    names = {principal.name.lower(), *(group.lower() for group in principal.groups)}
    found: set[str] = set()
    for depth, (level, level_name) in enumerate(securables.chain(kind, full_name)):
        document = workspace.store.get(level.name, securables.key(level_name)) or {}
        if str(document.get("owner", "")).lower() in names:
            found.add(OWN)
            if depth == 0:
                found.add(ALL)
        for grantee, privileges in granted(workspace, level, level_name).items():
            if grantee.lower() in names:
                found.update(privileges)
    if MANAGE in found:
        found.add(OWN)
    return found


def granted(workspace: Workspace, kind: Kind, full_name: str) -> dict[str, list[str]]:
    """Return the direct grants on one securable: privileges by principal."""
    document = workspace.store.get("grants", f"{kind.name}/{securables.key(full_name)}") or {}
    grants: dict[str, list[str]] = document.get("grants", {})
    return grants


def _may(
    workspace: Workspace, principal: Principal, kind: Kind, full_name: str, wanted: tuple[str, ...]
) -> bool:
    have = held(workspace, principal, kind, full_name)
    is_container = kind.name in ("catalogs", "schemas")
    if OWN in have and (OWN in wanted or (is_container and kind.usage in wanted)):
        return True
    return any(name in have or (ALL in have and name != OWN) for name in wanted)


def _refusal(
    principal: Principal, kind: Kind, full_name: str, wanted: tuple[str, ...]
) -> Exception:
    words = " or ".join(
        "ownership or MANAGE" if name == OWN else name.replace("_", " ") for name in wanted
    )
    return forbidden(
        f"{principal.name} does not have {words} on {kind.title} '{full_name}'. "
        "Ask its owner or an admin for the grant."
    )
