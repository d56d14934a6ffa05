"""The objects of Unity Catalog: their kinds, where they live in the store, how they are looked up.

A securable is one document; its kind is the collection's name in the URL (``schemas``), its key the
lower-case full name (``main.scgpt``). Catalog routes, grants, registry and files all read them
through this module.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import invalid, not_found
from ..core.store import Document
from ..core.workspace import Workspace


@dataclass(frozen=True)
class Kind:
    """One kind of securable.

    Parameters
    ----------
    name
        Collection in the URL and kind in the store.
    title
        How messages call one of them.
    parent
        Kind of the container; ``None`` for catalogs.
    wire_types
        Names of the kind in permission URLs, lower-case; the first one is answered.
    usage
        The privilege that reading it needs; of a container also every access to something inside.
    create
        Privilege on the parent that creation needs.
    privileges
        What can be granted on it (``ALL_PRIVILEGES`` and ``MANAGE`` besides).
    """

    name: str
    title: str
    parent: str | None
    wire_types: tuple[str, ...]
    usage: str
    create: str
    privileges: frozenset[str]


_TABLE = frozenset({"SELECT", "MODIFY", "APPLY_TAG"})
_VOLUME = frozenset({"READ_VOLUME", "WRITE_VOLUME", "APPLY_TAG"})
_MODEL = frozenset({"EXECUTE", "CREATE_MODEL_VERSION", "APPLY_TAG"})
_SCHEMA = (
    _TABLE
    | _VOLUME
    | _MODEL
    | {"USE_SCHEMA", "CREATE_TABLE", "CREATE_VOLUME", "CREATE_MODEL", "CREATE_FUNCTION"}
)
_CATALOG = _SCHEMA | {"USE_CATALOG", "CREATE_SCHEMA", "BROWSE"}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("catalogs", "Catalog", None, ("catalog",), "USE_CATALOG", "CREATE_CATALOG", _CATALOG),
        Kind("schemas", "Schema", "catalogs", ("schema",), "USE_SCHEMA", "CREATE_SCHEMA", _SCHEMA),
        Kind(
            "models",
            "Registered model",
            "schemas",
            ("function", "registered_model"),
            "EXECUTE",
            "CREATE_MODEL",
            _MODEL,
        ),
        Kind("volumes", "Volume", "schemas", ("volume",), "READ_VOLUME", "CREATE_VOLUME", _VOLUME),
        Kind("tables", "Table", "schemas", ("table",), "SELECT", "CREATE_TABLE", _TABLE),
    )
}


def key(full_name: str) -> str:
    """Unity Catalog compares names without case and keeps them in lower case."""
    return full_name.lower()


def kind_of_wire_type(wire_type: str) -> Kind:
    """The kind that a permission URL names; ``FUNCTION`` is a registered model.

    Raises
    ------
    ApiError
        400 for any other type.
    """
    for kind in KINDS.values():
        if wire_type.lower() in kind.wire_types:
            return kind
    known = ", ".join(name for kind in KINDS.values() for name in kind.wire_types)
    raise invalid(f"Securable type {wire_type!r} is not one of: {known}")


def get(workspace: Workspace, kind_name: str, full_name: str) -> Document:
    """The document of a securable.

    Raises
    ------
    ApiError
        404 when it, or the name of a parent, does not exist.
    """
    kind = KINDS[kind_name]
    document = workspace.store.get(kind_name, key(full_name))
    if document is not None:
        return document
    above = parent(kind, full_name)
    if above is not None and all(full_name.split(".")):
        get(workspace, above[0].name, above[1])
    raise not_found(f"{kind.title} '{full_name}' does not exist.")


def parent(kind: Kind, full_name: str) -> tuple[Kind, str] | None:
    """Kind and full name of the container."""
    if kind.parent is None:
        return None
    return KINDS[kind.parent], full_name.rpartition(".")[0]


def chain(kind: Kind, full_name: str) -> list[tuple[Kind, str]]:
    """The securable and its containers, innermost first."""
    links = [(kind, full_name)]
    while (above := parent(*links[-1])) is not None:
        links.append(above)
    return links


def children(workspace: Workspace, kind: Kind, full_name: str) -> list[tuple[Kind, str]]:
    """What lies directly inside: schemas of a catalog; models, volumes and tables of a schema."""
    return [
        (child, name)
        for child in KINDS.values()
        if child.parent == kind.name
        for name, _ in workspace.store.items(child.name, key(full_name) + ".")
    ]
