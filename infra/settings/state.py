"""The place of Terraform's state, one file per stack."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ..plain_secrets import texts
from .fields import Closed, NonEmpty, matching

Scalar = str | int | bool


def _check_option(value: object) -> object:
    """One message, where each alternative of the union would have its own."""
    simple = isinstance(value, Scalar) or _is_texts(value)
    if simple or (
        isinstance(value, dict)
        and all(isinstance(inner, Scalar) or _is_texts(inner) for inner in value.values())
    ):
        return value
    raise ValueError("must be text, an integer, true, false, a list of texts or a table of these")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


OptionName = Annotated[str, matching(r"[a-z][a-z0-9_]*", "the name of a Terraform argument")]
Option = Annotated[
    Scalar | list[str] | dict[OptionName, Scalar | list[str]], BeforeValidator(_check_option)
]


OLDEST_TERRAFORM = "1.10"
"""The first that locks a state in S3 by a file beside it; ``scripts/check-tools`` repeats it."""

_USERINFO = re.compile(r"://[^/\s]*@")
_ABSOLUTE = re.compile(r"/|file:|[A-Za-z]:[\\/]|\\\\|~[^/]")
_FROM_NAMES = "made from the stack's name"


class LocalState(Closed):
    """State in files of the runtime folder (``.local/state/``)."""

    backend: Literal["local"]


class _Remote(Closed):
    secrets: ClassVar[dict[str, str]]
    """Arguments of Terraform's backend that are secrets -> what to give instead."""
    owned: ClassVar[dict[str, str]]
    """Arguments of Terraform's backend that follow from the settings -> from which, or how."""
    options: dict[OptionName, Option] = Field(default_factory=dict)
    """Further arguments of Terraform's backend, passed on as they are: ``use_oidc``,
    ``kms_key_id``, ``assume_role``..."""

    @field_validator("options")
    @classmethod
    def _none_of_ours(cls, options: dict[str, Option]) -> dict[str, Option]:
        if wrong := [name for name in options if name in cls.owned]:
            instead = ", ".join(f"{name} ({cls.owned[name]})" for name in wrong)
            raise ValueError(f"take out what is no further argument: {instead}")
        return options

    @field_validator("options")
    @classmethod
    def _no_secrets(cls, options: dict[str, Option]) -> dict[str, Option]:
        names = [*options]
        names += [name for table in options.values() if isinstance(table, dict) for name in table]
        if wrong := [name for name in names if name in cls.secrets]:
            instead = ", ".join(cls.secrets[name] for name in wrong)
            raise ValueError(
                f"{', '.join(wrong)}: credentials come from the environment, never from this file: "
                f"set {instead}"
            )
        if wrong := [name for name, value in texts(options) if _USERINFO.search(value)]:
            raise ValueError(
                f"{', '.join(wrong)}: an address without credentials: take out what is before the @"
            )
        return options

    @field_validator("options")
    @classmethod
    def _of_every_machine(cls, options: dict[str, Option]) -> dict[str, Option]:
        if wrong := [name for name, value in texts(options) if _ABSOLUTE.match(value)]:
            raise ValueError(
                f"{', '.join(wrong)}: a path of one machine, where others deploy from theirs: set "
                "the backend's environment variable for it (such as AWS_SHARED_CREDENTIALS_FILE), "
                "or write it from the home folder on (~/...)"
            )
        return options


class S3State(_Remote):
    """State in a bucket on AWS; always encrypted, always locked."""

    secrets: ClassVar[dict[str, str]] = {
        "access_key": "AWS_ACCESS_KEY_ID",
        "secret_key": "AWS_SECRET_ACCESS_KEY",
        "token": "AWS_SESSION_TOKEN",
        "sse_customer_key": "AWS_SSE_CUSTOMER_KEY",
        "web_identity_token": "AWS_WEB_IDENTITY_TOKEN_FILE",
    }
    owned: ClassVar[dict[str, str]] = {
        "bucket": "set state.bucket",
        "key": f"{_FROM_NAMES}, after state.prefix",
        "region": "set state.region",
        "encrypt": "always true",
        "dynamodb_table": "set state.dynamodb_table",
    }
    backend: Literal["s3"]
    bucket: NonEmpty
    region: NonEmpty
    prefix: str = ""
    dynamodb_table: NonEmpty | None = None
    """Table that holds the lock; left out, a file beside the state is the lock."""

    @model_validator(mode="after")
    def _locked(self) -> Self:
        said = self.options.get("use_lockfile", True)
        if self.dynamodb_table is None and said not in (True, "true"):
            raise ValueError(
                "options.use_lockfile, where it is not true, leaves the state without a lock, and "
                "two deploys would write it at once: take it out, or give dynamodb_table"
            )
        return self

    @property
    def use_lockfile(self) -> bool:
        """Return True when a file beside the state is the lock."""
        return self.dynamodb_table is None


class AzureState(_Remote):
    """State in a container of a storage account on Azure."""

    secrets: ClassVar[dict[str, str]] = {
        "access_key": "ARM_ACCESS_KEY",
        "sas_token": "ARM_SAS_TOKEN",
        "client_secret": "ARM_CLIENT_SECRET",
        "client_certificate": "ARM_CLIENT_CERTIFICATE",
        "client_certificate_password": "ARM_CLIENT_CERTIFICATE_PASSWORD",
        "oidc_token": "ARM_OIDC_TOKEN",
        "oidc_request_token": "ARM_OIDC_REQUEST_TOKEN",
    }
    owned: ClassVar[dict[str, str]] = {
        "resource_group_name": "set state.resource_group",
        "storage_account_name": "set state.storage_account",
        "container_name": "set state.container",
        "key": f"{_FROM_NAMES}, after state.prefix",
    }
    backend: Literal["azurerm"]
    resource_group: NonEmpty
    storage_account: NonEmpty
    container: NonEmpty
    prefix: str = ""


class GoogleState(_Remote):
    """State in a bucket on Google Cloud."""

    secrets: ClassVar[dict[str, str]] = {
        "credentials": "GOOGLE_BACKEND_CREDENTIALS",
        "access_token": "GOOGLE_OAUTH_ACCESS_TOKEN",
        "encryption_key": "GOOGLE_ENCRYPTION_KEY",
    }
    owned: ClassVar[dict[str, str]] = {
        "bucket": "set state.bucket",
        "prefix": f"{_FROM_NAMES}, after state.prefix",
    }
    backend: Literal["gcs"]
    bucket: NonEmpty
    prefix: str = ""


class HttpState(_Remote):
    """State behind HTTP, as GitLab and Artifactory offer it.

    Credentials come from ``TF_HTTP_USERNAME`` and ``TF_HTTP_PASSWORD``.
    """

    secrets: ClassVar[dict[str, str]] = {
        "password": "TF_HTTP_PASSWORD",
        "client_private_key_pem": "TF_HTTP_CLIENT_PRIVATE_KEY_PEM",
    }
    owned: ClassVar[dict[str, str]] = {
        "address": f"{_FROM_NAMES}, after state.address",
        "lock_address": f"{_FROM_NAMES}, after state.address",
        "unlock_address": f"{_FROM_NAMES}, after state.address",
        "lock_method": "set state.lock_method",
        "unlock_method": "set state.unlock_method",
    }
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
