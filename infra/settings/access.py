"""Privileges in Unity Catalog, and the exceptions from the guards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ..plain_secrets import shown
from .fields import Closed, Principal, matching, unique

Securable = Literal["schema", "model", "volume", "checkpoints_volume"]

Role = Literal["planner", "builder", "deployer"]
WorkspaceObject = Literal[
    "experiment", "warehouse", "alert", "dashboard", "query", "job", "pipeline"
]

LEVELS: Mapping[WorkspaceObject, Mapping[Role, str]] = {
    "experiment": {"planner": "CAN_READ", "builder": "CAN_EDIT", "deployer": "CAN_MANAGE"},
    "alert": {"planner": "CAN_READ", "deployer": "CAN_MANAGE"},
    "dashboard": {"planner": "CAN_READ", "deployer": "CAN_MANAGE"},
    # The provider takes CAN_READ on a query for CAN_VIEW, which would be a difference for ever.
    "query": {"planner": "CAN_RUN", "deployer": "CAN_MANAGE"},
    # Whoever made these is answered as their owner: less would be a difference for ever.
    "warehouse": {"planner": "CAN_VIEW", "deployer": "IS_OWNER"},
    "job": {"planner": "CAN_VIEW", "deployer": "IS_OWNER"},
    "pipeline": {"planner": "CAN_VIEW", "deployer": "IS_OWNER"},
}
"""Kind of object -> role -> level: the least by which a plan reads it, the highest for deploys."""

SchemaPrivilege = Literal[
    "ALL_PRIVILEGES", "APPLY_TAG", "CREATE_FUNCTION", "CREATE_MATERIALIZED_VIEW", "CREATE_MODEL",
    "CREATE_MODEL_VERSION",
    "CREATE_TABLE", "CREATE_VOLUME", "EXECUTE", "MANAGE", "MODIFY", "READ_VOLUME", "REFRESH",
    "SELECT", "USE_SCHEMA", "WRITE_VOLUME",
]  # fmt: skip
ModelPrivilege = Literal["ALL_PRIVILEGES", "APPLY_TAG", "CREATE_MODEL_VERSION", "EXECUTE", "MANAGE"]
VolumePrivilege = Literal["ALL_PRIVILEGES", "APPLY_TAG", "MANAGE", "READ_VOLUME", "WRITE_VOLUME"]

_Volume = Annotated[tuple[VolumePrivilege, ...], AfterValidator(unique)]


class Grant(Closed):
    """Privileges of one principal; those of others are left alone."""

    principal: Principal
    schema_: Annotated[
        tuple[SchemaPrivilege, ...], AfterValidator(unique), Field(alias="schema")
    ] = ()
    model: Annotated[tuple[ModelPrivilege, ...], AfterValidator(unique)] = ()
    volume: _Volume = ()
    """On the volume of artifacts."""
    checkpoints_volume: _Volume = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.schema_ or self.model or self.volume or self.checkpoints_volume):
            raise ValueError(
                f"no privilege for {shown(self.principal)}: give schema, model, volume or "
                "checkpoints_volume, or take the entry out"
            )
        return self

    def on(self, securable: Securable) -> tuple[str, ...]:
        """Privileges on one kind of securable."""
        return self.schema_ if securable == "schema" else getattr(self, securable)


GrantedRole = Literal["owner", "builder", "planner", "judge", "reader", "payload_reader"]

_USE: Mapping[Securable, tuple[str, ...]] = {
    "schema": ("USE_SCHEMA",),
    "model": ("EXECUTE",),
    "volume": ("READ_VOLUME",),
}
_GRANTS: Mapping[GrantedRole, Mapping[Securable, tuple[str, ...]]] = {
    "owner": {"schema": ("ALL_PRIVILEGES", "MANAGE")},
    "builder": {
        "schema": ("USE_SCHEMA",),
        "model": ("APPLY_TAG", "CREATE_MODEL_VERSION", "EXECUTE"),
        "volume": ("READ_VOLUME", "WRITE_VOLUME"),
        "checkpoints_volume": ("READ_VOLUME",),
    },
    "planner": {**_USE, "checkpoints_volume": ("READ_VOLUME",)},
    # The deployment job reads versions and writes into the history.
    "judge": {**_USE, "volume": ("READ_VOLUME", "WRITE_VOLUME")},
    "reader": _USE,
    # On the schema: the inference table comes with the first request, after the deploy.
    "payload_reader": {"schema": ("SELECT", "USE_SCHEMA")},
}
"""Role -> kind of securable -> the privileges that its work takes."""


def role_grant(role: GrantedRole, principal: str) -> Grant:
    """Return the grant of a role."""
    return Grant.model_validate({"principal": principal, **_GRANTS[role]})


class Waiver(Closed):
    """An exception from one guard, with its reason, until a day."""

    check: Annotated[
        str, matching(r"[a-z][a-z0-9-]*", "the name of a guard, as its finding has it")
    ]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]
    until: date
    """The last day on which it holds."""
