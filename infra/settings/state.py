"""Where Terraform keeps its state, one file per stack."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from .fields import Closed, NonEmpty, matching

Option = str | int | bool
_SECRET = re.compile(
    r"passw|secret|token|access_key|credential|sas|connection_string|conn_str", re.I
)


class LocalState(Closed):
    """State in files of the runtime folder (``.local/state/``)."""

    backend: Literal["local"]


class _Remote(Closed):
    options: dict[
        Annotated[str, matching(r"[a-z][a-z0-9_]*", "the name of a Terraform argument")], Option
    ] = Field(default_factory=dict)
    """Further arguments of Terraform's backend, passed on as they are: ``use_oidc``,
    ``kms_key_id``..."""

    @field_validator("options")
    @classmethod
    def _no_secrets(cls, options: dict[str, Option]) -> dict[str, Option]:
        if wrong := [name for name in options if _SECRET.search(name)]:
            raise ValueError(
                f"{', '.join(wrong)}: credentials come from the environment, never from this file"
            )
        return options


class S3State(_Remote):
    """State in a bucket on AWS; always encrypted."""

    backend: Literal["s3"]
    bucket: NonEmpty
    region: NonEmpty
    prefix: str = ""
    dynamodb_table: NonEmpty | None = None
    """Table that holds the lock."""


class AzureState(_Remote):
    """State in a container of a storage account on Azure."""

    backend: Literal["azurerm"]
    resource_group: NonEmpty
    storage_account: NonEmpty
    container: NonEmpty
    prefix: str = ""


class GoogleState(_Remote):
    """State in a bucket on Google Cloud."""

    backend: Literal["gcs"]
    bucket: NonEmpty
    prefix: str = ""


class HttpState(_Remote):
    """State behind HTTP, as GitLab and Artifactory offer it.

    Credentials come from ``TF_HTTP_USERNAME`` and ``TF_HTTP_PASSWORD`` alone.
    """

    backend: Literal["http"]
    address: Annotated[
        str,
        matching(
            r"(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost|\[::1\]))(:\d{1,5})?(/[^\s?#@]*)?",
            "https://<host>/<prefix> (http:// on loopback only), without credentials or a query",
        ),
    ]
    """Prefix; a stack's state is at ``<address>/<stack>``, its lock at
    ``<address>/<stack>/lock``."""
    lock_method: Literal["LOCK", "POST", "PUT"] = "POST"
    unlock_method: Literal["UNLOCK", "DELETE", "POST", "PUT"] = "DELETE"


State = Annotated[
    LocalState | S3State | AzureState | GoogleState | HttpState, Field(discriminator="backend")
]
