"""The types of Unity Catalog: schema, volume, registered model, and grants on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .mapping import body, changes, emptied, refreshed
from .plan import canonical
from .resource import Resource, found, remove
from .rest import ApiError, ProviderError, Session
from .schema import Block, table
from .values import Values, conform

SCHEMA = table("""
    id: string optional computed local
    catalog_name name: string required force_new fold
    comment: string optional
    enable_predictive_optimization metastore_id owner: string optional computed
    force_destroy: bool optional default=false local
    properties: map optional
    schema_id: string computed
    storage_root: string optional force_new
""")

VOLUME = table("""
    id: string optional computed local
    catalog_name schema_name: string required force_new fold
    comment: string optional
    name: string required fold
    owner: string optional computed
    storage_location: string optional force_new keep
    volume_path: string computed local
    volume_type: string required force_new
""")

REGISTERED_MODEL = table("""
    id: string optional computed local
    aliases: objects
        alias_name catalog_name id model_name schema_name: string optional
        version_num: number optional
    browse_only: bool optional
    catalog_name name schema_name: string optional force_new fold
    comment: string optional
    created_at updated_at: number optional computed
    created_by full_name metastore_id owner updated_by: string optional computed
    storage_location: string optional computed force_new
""")

SECURABLES = (
    "catalog credential external_location foreign_connection function metastore model pipeline "
    "recipient schema share storage_credential table volume"
)

GRANT = table(f"""
    id: string optional computed local
    {SECURABLES}: string optional force_new
    principal: string required force_new
    privileges: string_set required words
""")

_CATALOG = "/api/2.1/unity-catalog"


@dataclass(frozen=True)
class CatalogObject(Resource):
    """One collection of Unity Catalog, addressed by full name.

    Parameters
    ----------
    name, table
        As of every type.
    plural
        Last part of the collection's path.
    created
        Attributes that the create carries.
    owned
        Attributes that the PATCH after a create carries.
    settled_by
        That PATCH is sent when one of these is configured.
    updated
        Attributes that an update carries; the owner has an update of its own.
    renames
        A new name is an update.
    checks_metastore
        Changes ask for the workspace's metastore first.
    updates
        How many times the real provider sends an update.
    """

    name: str
    table: Block
    plural: str
    created: frozenset[str]
    owned: frozenset[str]
    updated: frozenset[str]
    settled_by: frozenset[str] = frozenset({"owner"})
    renames: bool = False
    checks_metastore: bool = False
    updates: int = 1

    def _path(self, values: Values) -> str:
        return f"{_CATALOG}/{self.plural}/{values['id']}"

    def create(self, session: Session, planned: Values) -> str:
        content = body(self.table, planned, self.created)
        answer = session.call("POST", f"{_CATALOG}/{self.plural}", content)
        return str(answer["full_name"])

    def settle(self, session: Session, planned: Values) -> None:
        content = body(self.table, planned, self.owned)
        if content.keys() & self.settled_by:
            session.call("PATCH", self._path(planned), content)

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        answer = found(session, self._path(state))
        if answer is None:
            return None
        after = refreshed(self.table, answer, state, fresh=fresh)
        after["id"] = answer["full_name"]
        if "volume_path" in after:
            after["volume_path"] = "/Volumes/" + answer["full_name"].replace(".", "/")
        return after

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        self._check_metastore(session, prior)
        path, changed = self._path(prior), changes(planned, prior)
        after = emptied(self.table, planned, prior)
        if "owner" in changed:
            session.call("PATCH", path, body(self.table, planned, {"owner"}))
        if changed - {"owner"}:
            content = body(self.table, planned, self.updated)
            if "comment" in changed:
                content["comment"] = planned["comment"] or ""
            if self.renames and "name" in changed:
                content["new_name"] = planned["name"]
            for _ in range(self.updates):
                answer = session.call("PATCH", path, content)
            after["id"] = answer.get("full_name", prior["id"])
        return after

    def delete(self, session: Session, prior: Values) -> None:
        self._check_metastore(session, prior)
        force = "?force=true" if prior.get("force_destroy") else ""
        remove(session, "DELETE", self._path(prior) + force)

    def _check_metastore(self, session: Session, prior: Values) -> None:
        if not (self.checks_metastore and prior.get("metastore_id")):
            return
        current = session.call("GET", f"{_CATALOG}/current-metastore-assignment")
        if current.get("metastore_id") != prior["metastore_id"]:
            raise ProviderError(
                f"{prior['id']} belongs to metastore {prior['metastore_id']}, this workspace to "
                f"{current.get('metastore_id')}"
            )


class Grant(Resource):
    """The privileges of one principal on one securable; those of others are not touched."""

    name = "grant"
    table = GRANT

    @staticmethod
    def _target(values: Values) -> tuple[str, str]:
        """Attribute and full name of the securable."""
        for kind in SECURABLES.split():
            if values.get(kind):
                return kind, values[kind]
        raise ProviderError(f"one securable is needed: {SECURABLES.replace(' ', ', ')}")

    def _path(self, values: Values) -> str:
        kind, name = self._target(values)
        wire = {"model": "function", "foreign_connection": "connection"}.get(kind, kind)
        return f"{_CATALOG}/permissions/{wire}/{name}"

    def _granted(self, answer: Any, principal: str) -> list[str]:
        assignments = (answer or {}).get("privilege_assignments", [])
        return [
            privilege
            for each in assignments
            if each["principal"] == principal
            for privilege in each.get("privileges", [])
        ]

    def _set(self, session: Session, values: Values, wanted: list[str]) -> None:
        path, principal = self._path(values), values["principal"]
        now = self._granted(session.call("GET", path), principal)
        add, drop = sorted({*wanted} - {*now}), sorted({*now} - {*wanted})
        if add or drop:
            change = {"principal": principal, **({"add": add} if add else {})}
            change |= {"remove": drop} if drop else {}
            session.call("PATCH", path, {"changes": [change]})
        for _ in session.looks(60):
            if {*self._granted(session.call("GET", path), principal)} == {*wanted}:
                return
        raise ProviderError(f"privileges of {principal!r} did not take effect in 60 s")

    def create(self, session: Session, planned: Values) -> str:
        self._set(session, planned, [*map(canonical, planned["privileges"])])
        kind, name = self._target(planned)
        return f"{kind}/{name}/{planned['principal']}"

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        granted = self._granted(found(session, self._path(state)), state["principal"])
        return {**state, "privileges": sorted(granted)} if granted else None

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        self.create(session, planned)
        return planned

    def delete(self, session: Session, prior: Values) -> None:
        try:
            self._set(session, prior, [])
        except ApiError as error:
            if error.status != 404:
                raise

    def imported(self, identifier: str) -> Values:
        parts = identifier.split("/", 2)
        if len(parts) != 3 or parts[0] not in SECURABLES.split():
            raise ProviderError(f"id {identifier!r} is not TYPE/FULL.NAME/PRINCIPAL")
        state = {"id": identifier, parts[0]: parts[1], "principal": parts[2]}
        return conform(self.table, state)


_MODEL_FIELDS = frozenset({"catalog_name", "schema_name", "name", "comment", "storage_location"})
_STAMPS = frozenset({"created_at", "created_by", "metastore_id", "updated_at", "updated_by"})

CATALOG_OBJECTS = (
    CatalogObject(
        name="schema",
        table=SCHEMA,
        plural="schemas",
        created=frozenset({"catalog_name", "name", "comment", "properties", "storage_root"}),
        owned=frozenset({"comment", "properties", "owner", "enable_predictive_optimization"}),
        settled_by=frozenset({"owner", "enable_predictive_optimization"}),
        updated=frozenset({"comment", "properties", "enable_predictive_optimization"}),
        checks_metastore=True,
    ),
    CatalogObject(
        name="volume",
        table=VOLUME,
        plural="volumes",
        created=frozenset(VOLUME.attributes) - {"owner"},
        owned=frozenset({"owner"}),
        updated=frozenset({"comment"}),
        renames=True,
    ),
    CatalogObject(
        name="registered_model",
        table=REGISTERED_MODEL,
        plural="models",
        created=_MODEL_FIELDS | {"owner"},
        owned=_MODEL_FIELDS | {"owner"},
        updated=_MODEL_FIELDS | _STAMPS,
        updates=2,
    ),
)
