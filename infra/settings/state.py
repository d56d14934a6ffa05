"""Where Terraform keeps its state, one file per stack."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

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


class LocalState(Closed):
    """State in files of the runtime folder (``.local/state/``)."""

    backend: Literal["local"]


class _Remote(Closed):
    secrets: ClassVar[dict[str, str]]
    """Arguments of Terraform's backend that are secrets -> what to give instead."""
    options: dict[OptionName, Option] = Field(default_factory=dict)
    """Further arguments of Terraform's backend, passed on as they are: ``use_oidc``,
    ``kms_key_id``, ``assume_role``..."""

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
        return options


class S3State(_Remote):
    """State in a bucket on AWS; always encrypted."""

    secrets: ClassVar[dict[str, str]] = {
        "access_key": "AWS_ACCESS_KEY_ID",
        "secret_key": "AWS_SECRET_ACCESS_KEY",
        "token": "AWS_SESSION_TOKEN",
        "sse_customer_key": "AWS_SSE_CUSTOMER_KEY",
        "web_identity_token": "AWS_WEB_IDENTITY_TOKEN_FILE",
    }
    backend: Literal["s3"]
    bucket: NonEmpty
    region: NonEmpty
    prefix: str = ""
    dynamodb_table: NonEmpty | None = None
    """Table that holds the lock."""


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
