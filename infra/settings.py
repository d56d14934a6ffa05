"""One environment, as its TOML file declares it: frozen, closed, checked as a whole.

``load("dev")`` gives the settings or one :class:`SettingsError` that lists *all* problems of the
file, each with its key, the value and what is allowed. The files in ``infra/environments/``
document the keys for those who write them.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from . import layout
from .errors import SettingsError
from .naming import Names
from .problems import describe

__all__ = ["Settings", "SettingsError", "known", "load"]


def _matching(pattern: str, meaning: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"must be {meaning}")
        return value

    return AfterValidator(check)


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("each entry may appear once")
    return values


def _not_admins(group: str) -> str:
    if group == "admins":
        raise ValueError("'admins' manages every endpoint anyway and cannot be configured")
    return group


Identifier = Annotated[
    str,
    _matching(
        r"[a-z][a-z0-9_]{0,62}",
        "a-z first, then up to 62 of a-z, 0-9 and _ (Unity Catalog stores lower case)",
    ),
]
EndpointName = Annotated[
    str,
    _matching(
        r"(?!databricks-)[A-Za-z0-9][A-Za-z0-9_-]{0,62}",
        "1-63 letters, digits, - and _, not starting with 'databricks-' (the platform's own)",
    ),
]
Principal = Annotated[
    str, _matching(r"\S(.{0,253}\S)?", "a group, a user or an application id of 1-255 characters")
]
TagKey = Annotated[str, _matching(r"[A-Za-z0-9_.:/-]{1,127}", "1-127 letters, digits and _.:/-")]
NonEmpty = Annotated[str, Field(min_length=1)]

Level = Literal["CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"]
SchemaPrivilege = Literal[
    "ALL_PRIVILEGES", "APPLY_TAG", "CREATE_FUNCTION", "CREATE_MATERIALIZED_VIEW", "CREATE_MODEL",
    "CREATE_MODEL_VERSION",
    "CREATE_TABLE", "CREATE_VOLUME", "EXECUTE", "MANAGE", "MODIFY", "READ_VOLUME", "REFRESH",
    "SELECT", "USE_SCHEMA", "WRITE_VOLUME",
]  # fmt: skip
ModelPrivilege = Literal["ALL_PRIVILEGES", "APPLY_TAG", "CREATE_MODEL_VERSION", "EXECUTE", "MANAGE"]
VolumePrivilege = Literal["ALL_PRIVILEGES", "APPLY_TAG", "MANAGE", "READ_VOLUME", "WRITE_VOLUME"]

_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+")


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Workspace(_Closed):
    """Which workspace, and how clients behave towards it."""

    host: Annotated[str | None, Field(validate_default=True)] = None
    """Address of the workspace. It goes into the provider block, so that a shell that points to
    another workspace cannot deploy there. Left out in ``local``, whose address is in the
    profile."""
    profile: NonEmpty | None = None
    """Profile of the Databricks configuration file, for people at a laptop; pipelines have the
    environment."""
    retry_timeout_seconds: Annotated[int, Field(ge=5, le=3600)] = 300
    """How long a throttled or unreachable workspace is tried again (the provider's own default: for
    ever)."""

    @field_validator("host")
    @classmethod
    def _address(cls, host: str | None, info: ValidationInfo) -> str | None:
        local = info.context == layout.LOCAL
        if host is None and not local:
            raise ValueError("required, for example https://dbc-00000000-0000.cloud.databricks.com")
        if host is not None and local and not _LOOPBACK.fullmatch(host):
            raise ValueError("the environment 'local' stays on loopback: http://127.0.0.1:<port>")
        if host is not None and not local and not _HTTPS.fullmatch(host):
            raise ValueError("must be https://<workspace>, without a path")
        return host


class Endpoint(_Closed):
    """The serving endpoint."""

    name: EndpointName
    workload_type: Literal[
        "CPU", "GPU_SMALL", "GPU_MEDIUM", "GPU_LARGE",
        "GPU_MEDIUM_8", "GPU_LARGE_2", "MULTIGPU_MEDIUM",
    ]  # fmt: skip
    workload_size: Literal["Small", "Medium", "Large"]
    """Concurrency: Small 4, Medium 8-16, Large 16-64; on a GPU one replica for each 4."""
    scale_to_zero: bool
    route_optimized: bool = False
    """Cannot be changed later: Terraform would delete the endpoint and make it anew."""
    timeout_minutes: Annotated[int, Field(ge=1, le=240)] = 90
    """How long a deployment may take. At the first one, the provider *deletes* an endpoint that is
    late."""
    budget_policy_id: NonEmpty | None = None
    """Account-level budget policy; taken at creation only."""


class RateLimit(_Closed):
    """Requests that a key may send per minute."""

    calls: Annotated[int, Field(ge=1)]
    key: Literal["endpoint", "user"] = "user"


class Gateway(_Closed):
    """The AI Gateway in front of the endpoint."""

    inference_table_prefix: Identifier | None = None
    """The table is ``<catalog>.<schema>.<prefix>_payload``; left out, payloads are not logged."""
    usage_tracking: bool = True
    rate_limits: tuple[RateLimit, ...] = ()

    @field_validator("rate_limits")
    @classmethod
    def _one_per_key(cls, limits: tuple[RateLimit, ...]) -> tuple[RateLimit, ...]:
        _unique(tuple(limit.key for limit in limits))
        return limits


class Permissions(_Closed):
    """Who may use the endpoint: principal -> level."""

    groups: dict[Annotated[Principal, AfterValidator(_not_admins)], Level] = {}
    users: dict[Principal, Level] = {}
    service_principals: dict[Principal, Level] = {}
    """By application id."""


class Grant(_Closed):
    """Privileges of one principal; those of others are left alone."""

    principal: Principal
    schema_: Annotated[
        tuple[SchemaPrivilege, ...], AfterValidator(_unique), Field(alias="schema")
    ] = ()
    model: Annotated[tuple[ModelPrivilege, ...], AfterValidator(_unique)] = ()
    volume: Annotated[tuple[VolumePrivilege, ...], AfterValidator(_unique)] = ()


class LocalState(_Closed):
    """State in files of the runtime folder (``.local/state/``)."""

    backend: Literal["local"]


class S3State(_Closed):
    """State in a bucket on AWS; always encrypted."""

    backend: Literal["s3"]
    bucket: NonEmpty
    region: NonEmpty
    prefix: str = ""
    dynamodb_table: NonEmpty | None = None
    """Table that holds the lock."""


class AzureState(_Closed):
    """State in a container of a storage account on Azure."""

    backend: Literal["azurerm"]
    resource_group: NonEmpty
    storage_account: NonEmpty
    container: NonEmpty
    prefix: str = ""


class GoogleState(_Closed):
    """State in a bucket on Google Cloud."""

    backend: Literal["gcs"]
    bucket: NonEmpty
    prefix: str = ""


class Settings(_Closed):
    """One environment = one workspace = one TOML file."""

    environment: Annotated[
        str, _matching(r"[a-z][a-z0-9-]{0,31}", "named with 1-32 of a-z, 0-9 and -, a letter first")
    ]
    """The file's name; no key of the file."""
    folder: Path
    """Where the file lies; no key of the file."""
    catalog: Identifier
    """Exists already: catalogs are never created here."""
    schema_: Annotated[Identifier, Field(alias="schema")]
    model: Identifier
    volume: Identifier
    deletion_protection: bool
    """Schema, volume, model and endpoint cannot be destroyed while it is on."""
    workspace: Workspace
    endpoint: Endpoint
    gateway: Gateway
    permissions: Permissions = Permissions()
    grants: tuple[Grant, ...] = ()
    tags: dict[TagKey, Annotated[str, Field(max_length=256)]] = {}
    state: Annotated[
        LocalState | S3State | AzureState | GoogleState, Field(discriminator="backend")
    ]

    @field_validator("grants")
    @classmethod
    def _one_per_principal(cls, grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
        _unique(tuple(grant.principal for grant in grants))
        return grants

    @property
    def names(self) -> Names:
        """Every name of this environment."""
        return Names(
            environment=self.environment,
            catalog=self.catalog,
            schema=self.schema_,
            model=self.model,
            volume=self.volume,
            endpoint=self.endpoint.name,
            inference_table_prefix=self.gateway.inference_table_prefix,
        )

    @property
    def is_local(self) -> bool:
        """Whether this is the environment of the local workspace."""
        return self.environment == layout.LOCAL

    @property
    def manifest_path(self) -> Path:
        """Where the release manifest of this environment is, or will be."""
        return layout.manifest_path(self.folder, self.environment)


_INJECTED = frozenset({"environment", "folder"})


def known(folder: Path | None = None) -> tuple[str, ...]:
    """Names of the environments in a folder, in order."""
    return tuple(sorted(path.stem for path in layout.environments_folder(folder).glob("*.toml")))


def load(name: str, folder: Path | None = None) -> Settings:
    """The settings of one environment.

    Parameters
    ----------
    name
        Name of the environment: that of its TOML file without the ending.
    folder
        Folder of the environments; by default ``SCGPT_ENVIRONMENTS``, else ``infra/environments``.

    Raises
    ------
    SettingsError
        When there is no such environment, or its file is wrong; lists every problem.
    """
    folder = layout.environments_folder(folder)
    path = folder / f"{name}.toml"
    if name not in (names := known(folder)):
        raise SettingsError(
            f"unknown environment {name!r}: known in {folder} are {', '.join(names) or 'none'}"
        )
    try:
        declared = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: no TOML: {error}") from error
    problems = [
        f"{key}: unknown key (it follows from where the file lies)"
        for key in sorted(_INJECTED & declared.keys())
    ]
    given = {**declared, "environment": name, "folder": str(folder)}
    try:
        # As JSON, because strict validation takes its arrays for tuples.
        settings = Settings.model_validate_json(json.dumps(given, default=str), context=name)
    except ValidationError as error:
        problems += [describe(entry, Settings, _INJECTED) for entry in error.errors()]
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise SettingsError("\n  ".join([f"{path}: {count}", *problems]))
    return settings
