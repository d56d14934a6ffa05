"""The release manifest: which versions an endpoint serves, and what they are.

The build writes it, promotion and rollback edit it, people review it, and the serving stack points
to it. It is the only thing that says which version is live: Terraform never asks a registry for
"latest" or an alias.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from .errors import ReleaseError

__all__ = ["Manifest", "ReleaseError", "Served", "find", "read", "write"]

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


class Manifest(BaseModel):
    """Which versions of one model an endpoint serves, sorted by version."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+\.[a-z0-9_]+$")]
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
        if len(set(versions)) != len(versions):
            raise ValueError(f"served: each version may appear once, got {versions}")
        if (total := sum(entity.traffic for entity in self.served)) != 100:
            raise ValueError(f"served: traffic must add up to 100, got {total}")
        if [entity.role for entity in self.served].count("champion") != 1:
            raise ValueError("served: exactly one version is the champion")
        return self

    @property
    def champion(self) -> Served:
        """The version that takes the traffic."""
        return next(entity for entity in self.served if entity.role == "champion")

    def to_json(self) -> str:
        """The manifest as it stands in its file: fixed order, one line per value."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    def digest(self) -> str:
        """sha256 of the manifest's text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def read(path: Path) -> Manifest:
    """The manifest in a file.

    Raises
    ------
    ReleaseError
        When the file is missing or wrong; lists every problem.
    """
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReleaseError(f"no release manifest {path}: build a version first") from error
    except (ValidationError, UnicodeDecodeError) as error:
        problems = (
            [_problem(entry["loc"], entry["msg"]) for entry in error.errors()]
            if isinstance(error, ValidationError)
            else [str(error)]
        )
        raise ReleaseError("\n  ".join([f"{path}: not a release manifest", *problems])) from error


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
        raise ReleaseError(f"{path}: is of {manifest.model}, the environment's model is {model}")
    return manifest


def write(path: Path, manifest: Manifest) -> None:
    """Put the manifest into its file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(manifest.to_json(), encoding="utf-8")
    draft.replace(path)


def _problem(location: tuple[int | str, ...], message: str) -> str:
    place = ".".join(str(part) for part in location)
    return f"{place}: {message}" if place else message.removeprefix("Value error, ")
