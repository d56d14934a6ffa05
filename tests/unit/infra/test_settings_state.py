"""The table of the state holds what a backend needs, and never a credential."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
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
                "oidc_token_file_path": "~/token",
                "client_secret_file_path": "secrets/x",
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


@pytest.mark.parametrize(
    ("backend", "options", "said"),
    [
        (S3, 'bucket = "else"', "bucket (set state.bucket)"),
        (S3, 'key = "shared"', "key (made from the stack's name, after state.prefix)"),
        (S3, 'region = "r", encrypt = false', "region (set state.region), encrypt (always true)"),
        (S3, 'dynamodb_table = "t"', "dynamodb_table (set state.dynamodb_table)"),
        (AZURE, 'storage_account_name = "x"', "storage_account_name (set state.storage_account)"),
        (AZURE, 'key = "shared"', "key (made from the stack's name, after state.prefix)"),
        (GOOGLE, 'prefix = "shared"', "prefix (made from the stack's name, after state.prefix)"),
        (HTTP, 'address = "https://x"', "address (made from the stack's name, after state.address"),
        (HTTP, 'lock_address = "https://x"', "lock_address (made from the stack's name"),
        (HTTP, 'lock_method = "PUT"', "lock_method (set state.lock_method)"),
    ],
)
def test_options_never_override_what_has_a_setting(
    tmp_path: Path, backend: str, options: str, said: str
) -> None:
    text = FIVE_LINES.replace('backend = "local"', f"{backend}options = {{ {options} }}")
    (_, line) = problems(tmp_path, text)
    assert line.startswith("state.options: take out what is no further argument: ")
    assert said in line


@pytest.mark.parametrize(
    ("backend", "options", "key", "said"),
    [
        (S3, 'https_proxy = "https://u:hunter2@p"', "https_proxy", "without credentials"),
        (S3, 'endpoints = { s3 = "https://hunter2@s3" }', "endpoints.s3", "without credentials"),
        (S3, 'x = ["https://u:hunter2@h"]', "x.0", "without credentials"),
        (S3, 'shared_credentials_files = ["/home/hunter2/c"]', "shared_credentials_files.0", "~/"),
        (S3, 'custom_ca_bundle = "C:/hunter2.pem"', "custom_ca_bundle", "of one machine"),
        (AZURE, 'client_certificate_path = "~hunter2/c"', "client_certificate_path", "~/"),
        (S3, 'assume_role = { external_id = "hf_hunter2hunter2" }', "external_id", "a secret"),
    ],
)
def test_options_hold_neither_credentials_nor_paths_of_a_machine(
    tmp_path: Path, backend: str, options: str, key: str, said: str
) -> None:
    text = FIVE_LINES.replace('backend = "local"', f"{backend}options = {{ {options} }}")
    (_, line) = problems(tmp_path, text)
    assert line.startswith("state.options")
    assert f"{key}: " in line
    assert said in line
    assert "hunter2" not in line


def test_a_state_on_s3_has_a_lock(tmp_path: Path) -> None:
    def load(more: str) -> settings.S3State:
        text = FIVE_LINES.replace('backend = "local"', S3 + more)
        state = settings.load("dev", write(tmp_path, text)).state
        assert isinstance(state, settings.S3State)
        return state

    assert load("").use_lockfile
    assert load("options = { use_lockfile = true }").use_lockfile
    assert not load('dynamodb_table = "t"').use_lockfile
    both = load('dynamodb_table = "t"\noptions = { use_lockfile = true }')
    assert both.options == {"use_lockfile": True}
    for none in ("false", '"false"', '"0"'):
        text = f"{S3}options = {{ use_lockfile = {none} }}"
        (_, line) = problems(tmp_path, FIVE_LINES.replace('backend = "local"', text))
        assert line.startswith("state: options.use_lockfile, where it is not true, leaves")
