"""The whole file of one environment."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .. import layout, release, sizes, torches
from ..naming import Names
from ..plain_secrets import called_secret, holds_secret, shown
from ..release import Manifest
from ..sizes import Cloud, WorkloadType
from .access import (
    LEVELS,
    Grant,
    GrantedRole,
    Role,
    Securable,
    Waiver,
    WorkspaceObject,
    role_grant,
)
from .batch import Batch
from .endpoint import Endpoint, Gateway, Permissions
from .fields import (
    Catalog,
    Closed,
    EnvironmentName,
    Identity,
    Name,
    NonEmpty,
    Principal,
    Schema,
    TagKey,
    unique,
    unique_by,
)
from .monitoring import Monitoring
from .promotion import Promotion
from .state import State
from .texts import refuse_other_spellings, refuse_secrets, refuse_templates

_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
_HTTPS = re.compile(r"https://[a-z0-9.-]+")
LONGEST_WAIVER = timedelta(days=366)


def is_loopback(host: str) -> bool:
    """Return True for the address of a local workspace."""
    return _LOOPBACK.fullmatch(host.rstrip("/")) is not None


class Workspace(Closed):
    """The workspace, and how clients behave towards it.

    Who deploys is no part of the file: a profile or the environment says it, in any of the ways
    that Databricks' clients know (token, OAuth of a service principal, OIDC federation, Azure CLI).
    """

    host: Annotated[str | None, Field(validate_default=True)] = None
    """Address of the workspace. It goes into the provider block, so that a shell that points to
    another workspace cannot deploy there. Left out where it is local."""
    profile: NonEmpty | None = None
    """Profile of the Databricks configuration file, for people at a laptop; pipelines have the
    environment."""
    local: bool
    """The local workspace on this machine; its address is in the profile."""
    retry_timeout_seconds: Annotated[int, Field(ge=5, le=3600)] = 300
    """How long a throttled or unreachable workspace is tried again (the provider's own default: for
    ever)."""

    @field_validator("host")
    @classmethod
    def _address(cls, host: str | None, info: ValidationInfo) -> str | None:
        local = bool(info.context)
        if host is None and not local:
            raise ValueError(
                "required, for example https://dbc-00000000-0000.cloud.databricks.com; the local "
                "workspace on this machine has local = true instead"
            )
        if host is not None and local and not is_loopback(host):
            raise ValueError(
                "a local workspace stays on loopback: leave it out, or http://127.0.0.1:<port>"
            )
        if host is not None and not local and not _HTTPS.fullmatch(host):
            raise ValueError("must be https://<workspace> in lower case, without a path")
        return host


class Settings(Closed):
    """One environment = one workspace = one TOML file."""

    environment: EnvironmentName
    """The file's name; no key of the file."""
    folder: Path
    """The file's folder; no key of the file."""
    catalog: Catalog
    """Exists already: catalogs are never created here."""
    schema_: Annotated[Schema, Field(alias="schema")] = "scgpt"
    model: Name = "scgpt_gene_embeddings"
    volume: Name = "artifacts"
    """Volume for what runs make: wheels, reports."""
    checkpoints_volume: Name = "checkpoints"
    """Volume for what builds read."""
    manage_experiment: bool = True
    """The registry stack declares the MLflow experiment of the builds."""
    cloud: Cloud
    production: bool
    deletion_protection: bool
    """Schema, volumes, model and endpoint cannot be destroyed while it is on."""
    workspace: Workspace
    endpoint: Endpoint
    gateway: Gateway = Gateway()
    permissions: Permissions = Permissions()
    owner: Principal | None = None
    """The group that answers for everything here."""
    builder: Identity | None = None
    """Application id of the service principal that registers versions."""
    deployer: Identity | None = None
    """Application id of the service principal that deploys (or a person's e-mail address). What it
    holds on endpoint and experiment is declared: the provider leaves out the caller's own entry
    where it is not, and a plan by another identity would show it as a difference."""
    planner: Identity | None = None
    """Who plans and looks for drift where that is not the deployer: may read all of it."""
    readers: Annotated[tuple[Principal, ...], AfterValidator(unique)] = ()
    """Who uses the model: by query, in batch, in Spark."""
    payload_readers: Annotated[tuple[Principal, ...], AfterValidator(unique)] = ()
    """Who may read what was sent and answered: inference table and the tables made of it."""
    grants: Annotated[tuple[Grant, ...], unique_by("principal")] = ()
    """Privileges beyond those of owner, builder and readers."""
    monitoring: Monitoring = Monitoring()
    promotion: Promotion = Promotion()
    batch: Batch = Batch()
    tags: dict[TagKey, Annotated[str, Field(max_length=256)]] = Field(default_factory=dict)
    waivers: Annotated[tuple[Waiver, ...], unique_by("check")] = ()
    state: State
    _caller: str | None = PrivateAttr(None)
    """Who deploys, where the file does not say it."""

    @field_validator("tags")
    @classmethod
    def _no_secrets(cls, tags: dict[str, str]) -> dict[str, str]:
        if wrong := [shown(k) for k, v in tags.items() if called_secret(k, v) or holds_secret(v)]:
            raise ValueError(
                f"{', '.join(wrong)}: looks like a secret: tags are plain text, in plans, in the "
                "state and on bills: take it out, or give it another name if it is none"
            )
        return tags

    @field_validator("waivers")
    @classmethod
    def _for_a_while(cls, waivers: tuple[Waiver, ...]) -> tuple[Waiver, ...]:
        last = date.today() + LONGEST_WAIVER
        if late := [f"{w.check} until {w.until}" for w in waivers if w.until > last]:
            raise ValueError(
                f"{', '.join(late)}: a waiver is for a year at most, now {last}: what is meant "
                "for longer is looked at again"
            )
        return waivers

    @model_validator(mode="after")
    def _plain_texts(self) -> Self:
        values = self.model_dump(mode="json", by_alias=True, exclude={"environment", "folder"})
        refuse_secrets(values)
        refuse_templates(values)
        return self

    @model_validator(mode="after")
    def _one_spelling_each(self) -> Self:
        levels = self.permissions
        roles = (
            *(self.owner, self.builder, self.deployer, self.planner),
            *(self.promotion.deployment_job, *self.readers, *self.payload_readers),
        )
        limited = (limit.principal for limit in self.gateway.rate_limits)
        refuse_other_spellings(
            who
            for who in (
                *roles,
                *(grant.principal for grant in self.grants),
                *levels.groups,
                *levels.users,
                *levels.service_principals,
                *limited,
            )
            if who is not None
        )
        return self

    @model_validator(mode="after")
    def _two_volumes(self) -> Self:
        if self.volume == self.checkpoints_volume:
            raise ValueError(f"volume and checkpoints_volume are both {self.volume!r}")
        return self

    @model_validator(mode="after")
    def _deployer_manages(self) -> Self:
        given = self.permissions.people
        if self.deployer is not None and given.get(self.deployer, "CAN_MANAGE") != "CAN_MANAGE":
            raise ValueError(
                f"permissions: {self.deployer} is the deployer, which has CAN_MANAGE: take its "
                f"{given[self.deployer]} out"
            )
        return self

    @model_validator(mode="after")
    def _something_to_watch(self) -> Self:
        if self.monitoring.profile is not None and self.is_local:
            raise ValueError(
                "monitoring.profile is for Databricks: the local workspace profiles no tables"
            )
        if self.monitoring.enabled and self.gateway.inference_table_prefix is None:
            raise ValueError(
                "monitoring reads the inference table: give gateway.inference_table_prefix, or set "
                "monitoring.enabled = false"
            )
        return self

    @model_validator(mode="after")
    def _size_of_this_cloud(self) -> Self:
        if self.endpoint.size is not None:
            sizes.workload_type(self.endpoint.size, self.cloud)
        return self

    @model_validator(mode="after")
    def _torch_of_this_gpu(self) -> Self:
        if self.torch is not None:
            torches.check_gpu(self.torch, self.workload_type)
        return self

    @model_validator(mode="after")
    def _gpu_to_require(self) -> Self:
        if self.endpoint.require_gpu and self.workload_type == "CPU":
            raise ValueError("endpoint.require_gpu is true, but the workload type CPU has no GPU")
        return self

    @property
    def names(self) -> Names:
        """Every name of this environment."""
        return Names(
            environment=self.environment,
            catalog=self.catalog,
            schema=self.schema_,
            model=self.model,
            volume=self.volume,
            checkpoints_volume=self.checkpoints_volume,
            endpoint=self.endpoint.name,
            inference_table_prefix=self.gateway.inference_table_prefix,
        )

    @property
    def job_values(self) -> dict[str, object]:
        """Return what stands for the braces in the parameters of jobs."""
        return {
            **self.monitoring.model_dump(),
            "baselines": self.names.baselines,
            "endpoint": self.endpoint.name,
        }

    @property
    def workload_type(self) -> WorkloadType:
        """Return the endpoint's type of machine, in the platform's words."""
        if self.endpoint.workload_type is not None:
            return self.endpoint.workload_type
        return sizes.workload_type(self.endpoint.size or "small", self.cloud)

    @property
    def requires_gpu(self) -> bool:
        """Return True where served processes must not compute on their processors."""
        if self.endpoint.require_gpu is not None:
            return self.endpoint.require_gpu
        return self.workload_type != "CPU" and not self.is_local

    @property
    def torch(self) -> str | None:
        """Return the release of torch that is served; None: the installed one.

        A local workspace serves with the packages of its own machine, whatever a version asks for.
        """
        return self.endpoint.torch or (None if self.is_local else torches.DEFAULT)

    @property
    def is_local(self) -> bool:
        """Return True for an environment of the local workspace."""
        return self.workspace.local

    @property
    def manifest_path(self) -> Path:
        """Return the path of this environment's release manifest, written or not."""
        return layout.manifest_path(self.folder, self.environment, local=self.is_local)

    def released(self) -> Manifest | None:
        """Return the release manifest; None where nothing was released yet.

        Raises
        ------
        ReleaseError
            It is wrong, or names another model.
        """
        return release.find(self.manifest_path, model=self.names.full_model)

    @property
    def approval_needed(self) -> bool:
        """Return True where a person must approve a version before it is released here."""
        return self.production if self.promotion.approval is None else self.promotion.approval

    def privileges(self, securable: Securable) -> dict[str, tuple[str, ...]]:
        """Principal -> sorted privileges on one kind of securable, roles and grants together."""
        roles: list[tuple[GrantedRole, str | None]] = [
            ("owner", self.owner),
            ("builder", self.builder),
            ("planner", self.planner),
            ("judge", self.promotion.deployment_job),
            *(("reader", reader) for reader in self.readers),
            *(("payload_reader", reader) for reader in self.payload_readers),
        ]
        found = defaultdict[str, set[str]](set)
        for grant in (*(role_grant(role, who) for role, who in roles if who), *self.grants):
            found[grant.principal].update(grant.on(securable))
        return {who: tuple(sorted(what)) for who, what in sorted(found.items()) if what}

    def deployed_by(self, who: str | None) -> Settings:
        """Return the settings as ``who`` deploys them, where the file does not say who does.

        The provider refuses to lower the rights of whoever runs it, and of some kinds of objects it
        sends the list as declared: whoever deploys stays in every list that there is.
        """
        if self.deployer is not None or not who:
            return self
        found = self.model_copy()
        found._caller = who
        return found

    @property
    def managed_by(self) -> str | None:
        """Return who stays in charge of everything, as far as that is known."""
        return self.deployer or self._caller

    @property
    def endpoint_levels(self) -> Permissions:
        """Who may do what with the endpoint, planner and deployer with the others."""
        levels = self.permissions
        if self.planner is not None and self.planner not in levels.people:
            levels = levels.and_of(self.planner, "CAN_VIEW")
        manager = self.managed_by
        # The provider itself puts the caller on this list, where it is not named.
        if manager and (self.deployer or manager in levels.people):
            levels = levels.and_of(manager, "CAN_MANAGE")
        return levels

    def object_levels(self, kind: WorkspaceObject) -> dict[str, str]:
        """Principal -> level on an object of the workspace; who made it holds it where this is
        empty.
        """
        roles: dict[Role, str | None] = {
            "planner": self.planner,
            "builder": self.builder,
            "deployer": self.deployer,
        }
        levels = LEVELS[kind]
        found = {who: levels[role] for role, who in roles.items() if who and role in levels}
        return found | {self._caller: levels["deployer"]} if found and self._caller else found

    def waiver(self, check: str, today: date) -> Waiver | None:
        """The exception from a guard that holds on this day, if there is one."""
        return next((w for w in self.waivers if w.check == check and today <= w.until), None)
