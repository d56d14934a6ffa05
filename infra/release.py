"""The release manifest: which versions an endpoint serves, and what they are.

Commands write it (`scripts/release/point.py`), people review it, and the serving stack points to
it. It is the only thing that says which version is live: Terraform never asks a registry for
"latest" or an alias.

The file also says of which environment it is, and carries its own digest: a manifest that was
copied to another environment, or edited by hand, is refused.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from scgpt_databricks.whole_file import write_text

from .errors import ReleaseError
from .naming import LONGEST_SERVED_ENTITY, SECURABLE, served_entity

__all__ = ["MOST_SERVED", "Manifest", "ReleaseError", "Served", "find", "parse", "read", "write"]

MOST_SERVED = 10
"""Served entities that an endpoint may have, as the platform documents it."""

UNKNOWN_DIGEST = "0" * 64
"""Stands for a digest that nobody recorded: the version was built elsewhere."""

CHAMPION: Final = "champion"
"""Role of the version that most requests go to; a manifest has exactly one."""
CHALLENGER: Final = "challenger"
"""Role of a version that is tried beside it, on a share of the requests."""
PREVIOUS: Final = "previous"
"""Role of a version that stays warm and gets no requests."""
Role = Literal["champion", "challenger", "previous"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]


class Served(BaseModel):
    """One registered version behind the endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1)]
    """Number of the registered version."""
    traffic: Annotated[int, Field(ge=0, le=100)]
    """Percent of the requests; a warm previous version has 0."""
    role: Role
    run_id: Annotated[str, Field(min_length=1)]
    """MLflow run that logged the model."""
    checkpoint_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the weights."""
    signature_digest: Digest
    engine_digest: Digest
    """Digest of the code that runs them."""
    name: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")] = None
    """Name behind the endpoint where it is not ``<model>-<version>``: of one that was adopted."""

    @model_serializer(mode="wrap")
    def _without_default_name(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The digest of what has no name of its own stays as it was.
        content: dict[str, Any] = whole(self)
        return {key: value for key, value in content.items() if key != "name" or value is not None}


class Manifest(BaseModel):
    """The versions of one model that an endpoint serves, sorted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: Annotated[str, Field(pattern=rf"^{SECURABLE}\.{SECURABLE}\.{SECURABLE}$")]
    """Full name of the registered model."""
    git_commit: Annotated[str, Field(min_length=1)]
    """Commit of this repository that built the newest version."""
    created_at: AwareDatetime
    served: Annotated[tuple[Served, ...], Field(min_length=1)]

    @field_validator("served")
    @classmethod
    def _sorted(cls, served: tuple[Served, ...]) -> tuple[Served, ...]:
        # The order of served entities is a real difference to the provider.
        return tuple(sorted(served, key=lambda entity: entity.version))

    @field_validator("created_at")
    @classmethod
    def _whole_seconds_utc(cls, moment: datetime) -> datetime:
        return moment.astimezone(UTC).replace(microsecond=0)

    @field_serializer("created_at")
    def _z(self, moment: datetime) -> str:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        versions = [entity.version for entity in self.served]
        if len(versions) > MOST_SERVED:
            raise ValueError(
                f"served: an endpoint serves at most {MOST_SERVED} versions, got {len(versions)}"
            )
        if len(set(versions)) != len(versions):
            raise ValueError(f"served: each version may appear once, got {versions}")
        names = [self.name_of(entity) for entity in self.served]
        if len(set(names)) != len(names):
            raise ValueError(f"served: each name may appear once, got {names}")
        if long := [name for name in names if len(name) > LONGEST_SERVED_ENTITY]:
            raise ValueError(
                f"served: names behind an endpoint have {LONGEST_SERVED_ENTITY} characters at "
                f"most, got {long}"
            )
        if (total := sum(entity.traffic for entity in self.served)) != 100:
            raise ValueError(f"served: traffic must add up to 100, got {total}")
        if [entity.role for entity in self.served].count(CHAMPION) != 1:
            raise ValueError("served: exactly one version is the champion")
        return self

    @property
    def champion(self) -> Served:
        """The version that takes the traffic."""
        return next(entity for entity in self.served if entity.role == CHAMPION)

    def name_of(self, entity: Served) -> str:
        """Name of one version behind the endpoint."""
        return entity.name or served_entity(self.model.rpartition(".")[2], entity.version)

    def to_json(self, environment: str) -> str:
        """The manifest as it stands in its file: fixed order, one line per value, sealed."""
        content = {"environment": environment, **self.model_dump(mode="json")}
        return json.dumps({**content, "digest": _digest(content)}, indent=2) + "\n"

    def digest(self) -> str:
        """sha256 of what the manifest says."""
        return _digest(self.model_dump(mode="json"))


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str, *, environment: str, source: str) -> Manifest:
    """Return the manifest of an environment from its text; errors name the ``source``.

    Raises
    ------
    ReleaseError
        When it is no manifest, of another environment, or not as it was written; lists every
        problem.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ReleaseError(f"{source}: not a release manifest: {error}") from error
    if not isinstance(content, dict):
        raise ReleaseError(f"{source}: not a release manifest: no JSON object")
    sealed, of = content.pop("digest", None), content.pop("environment", None)
    try:
        manifest = Manifest.model_validate_json(json.dumps(content))
    except ValidationError as error:
        problems = [_problem(entry["loc"], entry["msg"]) for entry in error.errors()]
        raise ReleaseError("\n  ".join([f"{source}: not a release manifest", *problems])) from error
    if sealed is None or of is None:
        raise ReleaseError(
            f"{source}: has no digest: it was written by an older version, or by hand. Remove it "
            f"and run `scgpt build {environment} --checkpoint DIR` again: the version that "
            "is registered is found, not built anew"
        )
    if of != environment:
        raise ReleaseError(
            f"{source}: is the release manifest of {of!r}, not of {environment!r}: a manifest "
            f"cannot be copied. Remove it and run `scgpt build {environment} --checkpoint DIR`"
        )
    if sealed != _digest({"environment": of, **content}):
        raise ReleaseError(
            f"{source}: was edited by hand: what it says does not have the digest it carries. "
            f"Put it back (git checkout); `scgpt build {environment} --checkpoint DIR --release` "
            "changes it"
        )
    return manifest


def read(path: Path) -> Manifest:
    """The manifest in a file, which is named after its environment.

    Raises
    ------
    ReleaseError
        When the file is missing or wrong; lists every problem.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReleaseError(
            f"no release manifest {path}: build a version first, by `scgpt build "
            f"{_environment(path)} --checkpoint DIR`"
        ) from error
    except UnicodeDecodeError as error:
        raise ReleaseError(f"{path}: not a release manifest: {error}") from error
    return parse(text, environment=_environment(path), source=str(path))


def find(path: Path, *, model: str) -> Manifest | None:
    """The manifest in a file, or None where nothing was released yet.

    Raises
    ------
    ReleaseError
        When the file is wrong, or names another model than ``model``.
    """
    if not path.exists():
        return None
    manifest = read(path)
    if manifest.model != model:
        raise ReleaseError(
            f"{path}: is of {manifest.model}, the environment's model is {model}: correct catalog, "
            "schema or model of its TOML file, or remove the manifest and run `scgpt build "
            f"{_environment(path)} --checkpoint DIR`"
        )
    return manifest


def write(path: Path, manifest: Manifest) -> None:
    """Put the manifest into its file, whole or not at all."""
    write_text(path, manifest.to_json(_environment(path)))


def _environment(path: Path) -> str:
    return path.name.removesuffix(".release.json")


def _problem(location: tuple[int | str, ...], message: str) -> str:
    place = ".".join(str(part) for part in location)
    return f"{place}: {message}" if place else message.removeprefix("Value error, ")
