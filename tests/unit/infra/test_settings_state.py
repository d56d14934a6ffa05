"""Where Terraform keeps its state: what may be said of it, and what never."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra import settings
from tests.unit.infra.toml_files import FIVE_LINES, problems, write


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ('address = "https://me:hunter2@state.example.com"', "without credentials"),
        ('address = "http://state.example.com/scgpt"', "http:// on loopback only"),
        ('address = "https://s.example.com"\npassword = "hunter2"', "password: unknown key"),
        (
            'address = "https://s.example.com"\noptions = { password = "hunter2" }',
            "credentials come from the environment",
        ),
    ],
)
def test_a_state_backend_holds_no_credentials(tmp_path: Path, state: str, said: str) -> None:
    text = FIVE_LINES.replace('backend = "local"', f'backend = "http"\n{state}')
    (_, line) = problems(tmp_path, text)
    assert said in line
    assert "hunter2" not in line


S3 = 'backend = "s3"\nbucket = "b"\nregion = "r"\n'
AZURE = 'backend = "azurerm"\nresource_group = "g"\nstorage_account = "a"\ncontainer = "c"\n'
GOOGLE = 'backend = "gcs"\nbucket = "b"\n'
HTTP = 'backend = "http"\naddress = "https://s.example.com"\n'


@pytest.mark.parametrize(
    ("backend", "options", "instead"),
    [
        (S3, 'secret_key = "hunter2"', "AWS_SECRET_ACCESS_KEY"),
        (S3, 'access_key = "hunter2", token = "hunter2"', "AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN"),
        (
            S3,
            'assume_role_with_web_identity = { web_identity_token = "hunter2" }',
            "AWS_WEB_IDENTITY_TOKEN_FILE",
        ),
        (AZURE, 'sas_token = "hunter2"', "ARM_SAS_TOKEN"),
        (AZURE, 'oidc_request_token = "hunter2"', "ARM_OIDC_REQUEST_TOKEN"),
        (GOOGLE, 'credentials = "hunter2"', "GOOGLE_BACKEND_CREDENTIALS"),
        (HTTP, 'client_private_key_pem = "hunter2"', "TF_HTTP_CLIENT_PRIVATE_KEY_PEM"),
    ],
)
def test_options_of_a_backend_that_are_secrets(
    tmp_path: Path, backend: str, options: str, instead: str
) -> None:
    text = FIVE_LINES.replace('backend = "local"', f"{backend}options = {{ {options} }}")
    (_, line) = problems(tmp_path, text)
    assert line.startswith("state.options: ")
    assert line.endswith(f"never from this file: set {instead}")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        (
            S3,
            {
                "skip_credentials_validation": True,
                "shared_credentials_files": ["~/.aws/ci"],
                "max_retries": 3,
                "assume_role": {"role_arn": "arn:aws:iam::1:role/x", "policy_arns": ["a"]},
            },
        ),
        (
            AZURE,
            {
                "use_oidc": True,
                "oidc_token_file_path": "/run/token",
                "client_secret_file_path": "/x",
            },
        ),
        (GOOGLE, {"impersonate_service_account": "a@b.c", "kms_encryption_key": "projects/p/k"}),
        (HTTP, {"username": "ci", "skip_cert_verification": False}),
    ],
)
def test_options_of_a_backend_that_only_sound_so(
    tmp_path: Path, backend: str, options: dict[str, object]
) -> None:
    # JSON's texts, lists, numbers and booleans are TOML's.
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items()
                    if not isinstance(value, dict))  # fmt: skip
    for name, table in options.items():
        if isinstance(table, dict):
            lines += f"[state.options.{name}]\n"
            lines += "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    text = FIVE_LINES.replace('backend = "local"', f"{backend}[state.options]\n{lines}")
    state = settings.load("dev", write(tmp_path, text)).state
    assert state.model_dump()["options"] == options


@pytest.mark.parametrize("value", ["1.5", "[1]", "{ a = { b = 1 } }", '[{ a = "b" }]'])
def test_options_of_a_backend_of_another_form(tmp_path: Path, value: str) -> None:
    text = FIVE_LINES.replace('backend = "local"', f"{S3}options = {{ x = {value} }}")
    (_, line) = problems(tmp_path, text)
    assert line.startswith("state.options.x: must be text, an integer, true, false, a list of")
