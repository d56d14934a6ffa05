"""Endpoint settings: sizes, capacity, variables, secrets, limits, what is logged."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.endpoint import describe, tables_of
from scgpt_databricks.infra.settings.endpoint import GPU_VARIABLE
from tests.unit.infra.manifests import champion
from tests.unit.infra.toml_files import FIVE_LINES, changed, problems, write


@pytest.mark.parametrize(
    ("host", "cloud", "small", "xlarge"),
    [
        ("https://dbc-1.cloud.databricks.com", "aws", "GPU_SMALL", "GPU_MEDIUM_8"),
        ("https://adb-1.2.azuredatabricks.net", "azure", "GPU_SMALL", "GPU_LARGE_2"),
        ("https://1.2.gcp.databricks.com", "gcp", "GPU_MEDIUM", None),
    ],
)
def test_sizes_are_the_clouds_own(
    tmp_path: Path, host: str, cloud: str, small: str, xlarge: str | None
) -> None:
    dbc = "https://dbc-9.cloud.databricks.com"
    loaded = changed(tmp_path, dbc, host)
    assert (loaded.cloud, loaded.workload_type) == (cloud, small)
    text = FIVE_LINES.replace(dbc, host) + '[endpoint]\nsize = "xlarge"\n'
    if xlarge is None:
        (_, line) = problems(tmp_path, text)
        assert "gcp has no size 'xlarge'; it has cpu, small, medium, large" in line
    else:
        assert settings.load("dev", write(tmp_path, text)).workload_type == xlarge


def test_an_address_that_does_not_tell_the_cloud_needs_it_told(tmp_path: Path) -> None:
    text = FIVE_LINES.replace("dbc-9.cloud.databricks.com", "ai.example.com")
    (_, line) = problems(tmp_path, text)
    assert line == "cloud: missing: the host does not tell; one of aws, azure, gcp"
    assert settings.load("dev", write(tmp_path, 'cloud = "azure"\n' + text)).cloud == "azure"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('size = "small"\nworkload_type = "CPU"', "endpoint: has both size and workload_type"),
        (
            'workload_size = "Small"\nprovisioned_concurrency = { min = 4, max = 8 }',
            "endpoint: has both workload_size and provisioned_concurrency",
        ),
        ("provisioned_concurrency = { min = 8, max = 4 }", "min 8 is above max 4"),
        ("provisioned_concurrency = { min = 6, max = 8 }", "multiple of 4 (got 6)"),
        ("timeout_minutes = 90", "endpoint.timeout_minutes: must be 91 or more"),
        ('size = "huge"', "'xlarge' (got 'huge')"),
        ('email_notifications = { on_update_failure = ["nobody"] }', "must be an e-mail address"),
        ("environment = { SCGPT_EXPECTS_GPU = 'true' }", "set it by require_gpu instead"),
        ('size = "cpu"\nrequire_gpu = true', "the workload type CPU has no GPU"),
        ("environment = { 1A = 'x' }", "letters, digits and _, not a digit first"),
        (
            'torch = "2.6.0"',
            "torch 2.6.0 is too old for the engine: it must be one of 2.7.1",
        ),
        ('torch = "1.13.1"', "torch 1.13.1 is too old"),
        ('torch = "2.99.0"', "torch '2.99.0' is unknown: it must be one of 2.7.1"),
        ('torch = "2.7.1+cu126"', "without a suffix such as +cu126"),
        ('torch = "latest"', "torch 'latest' is unknown"),
        ("torch = 2.7", "endpoint.torch"),
    ],
)
def test_an_endpoint_that_cannot_be(tmp_path: Path, table: str, said: str) -> None:
    lines = problems(tmp_path, FIVE_LINES + "[endpoint]\n" + table)
    assert any(said in line for line in lines), lines


@pytest.mark.parametrize(
    "variable",
    [
        'WANDB_API_KEY = "0123456789abcdef"',
        'DB_PASSWORD = "hunter2hunter2"',
        'ANYTHING = "dapi0123456789abcdef0123"',
        'PROXY = "https://me:hunter2hunter2@proxy.example.com"',
        'ENCRYPTION_KEY = "abcdefgh"',
        'AWS_ACCESS_KEY_ID = "abcdefgh"',
        'HUB = "hf_abcdefghijklmnop"',
        'HUB = "sk-proj-abcdefgh0123"',
        'HUB = "xoxb-0123456789-abc"',
        'HUB = "AKIA0123456789ABCDEF"',
        'HUB = "ghp_abcdefghij0123456789"',
        'DATABRICKS_PAT = "hunter2hunter2"',
        'SLACK = "https://hooks.slack.com/services/T0/B0/x"',
        'SLACK_WEBHOOK = "https://chat.example.com/0"',
        'HEADERS = "Authorization: Bearer hunter2"',
        'AUTH = "Bearer abcdefgh"',
        'DATABASE_URL = "postgres://u@h?password=hunter2"',
        'DATABASE_URL = "postgres://u:hunter2@h/x"',
        'CACHE = "redis://:hunter2@h"',
        'REPOSITORY = "https://0123456789abcdefghij@git.example.com"',
        'STORE = "https://x.blob.core.windows.net/c?sv=1&sig=abc%3D"',
        'QUEUE = "Endpoint=sb://x/;SharedAccessKey=abc"',
        'JAVA_OPTIONS = "-Xmx1g -Dauth.token=abc"',
        'KEY_FILE = "-----BEGIN OPENSSH PRIVATE KEY-----"',
        'HUB_TOKEN = "{{secrets/scope}}"',
        "HUB_TOKEN = 12345678",
    ],
)
def test_secrets_are_referred_to_and_never_repeated(tmp_path: Path, variable: str) -> None:
    lines = problems(tmp_path, FIVE_LINES + f"[endpoint.environment]\n{variable}\n")
    name, value = variable.split(" = ")
    assert len(lines) == 2
    assert name in lines[1]
    assert value.strip('"') not in lines[1]


def test_plain_variables_and_references_to_secrets(tmp_path: Path) -> None:
    variables = {
        "BATCH": "64",
        "HUB_TOKEN": "{{secrets/scgpt/hub}}",
        "MAX_TOKENS": "512",
        "TOKENIZERS_PARALLELISM": "false",
        "KEYS": "a,b",
        "HF_HUB_ENABLE": "hf_transfer",
        "MODE": "risk-assessment-of-2026",
        "HUB_URL": "https://hub.example.com:8443/a@b",
        "DATABASE_URL": "postgres://reader@h/x?sslmode=require",
        "USE_AUTH_TOKEN": "false",
        "AUTHOR": "ann@example.com",
        "PATTERN": "basic embeddings, path=/tmp",
        "CA": "-----BEGIN CERTIFICATE-----",
    }
    table = "".join(f'{name} = "{value}"\n' for name, value in variables.items())
    loaded = settings.load("dev", write(tmp_path, f"{FIVE_LINES}[endpoint.environment]\n{table}"))
    assert loaded.endpoint.environment == variables


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ('{ calls = 5, key = "user_group" }', "key 'user_group' needs a principal"),
        ('{ calls = 5, key = "service_principal" }', "needs a principal"),
        ('{ calls = 5, key = "endpoint", principal = "a" }', "takes no principal"),
        ('{ calls = 5 }, { calls = 6, key = "user" }', "each entry may appear once"),
    ],
)
def test_rate_limits_say_whose(tmp_path: Path, limit: str, said: str) -> None:
    (_, line) = problems(tmp_path, FIVE_LINES + f"[gateway]\nrate_limits = [{limit}]\n")
    assert said in line


def test_an_empty_prefix_logs_nothing(tmp_path: Path) -> None:
    table = '[gateway]\ninference_table_prefix = ""\n'
    loaded = settings.load("dev", write(tmp_path, FIVE_LINES + table))
    assert loaded.names.inference_table is None


@pytest.mark.parametrize(
    ("head", "table", "expected"),
    [
        ("", "", {GPU_VARIABLE: "true"}),
        ("", 'size = "cpu"', None),
        ("", "require_gpu = false", None),
        ("", "environment = { A = 'x' }", {"A": "x", GPU_VARIABLE: "true"}),
        ("local = true", "", None),
        ("local = true", "require_gpu = true", {GPU_VARIABLE: "true"}),
    ],
)
def test_a_gpu_type_is_given_the_variable_that_asks_for_a_gpu(
    tmp_path: Path, head: str, table: str, expected: dict[str, str] | None
) -> None:
    host = 'host = "https://dbc-9.cloud.databricks.com"'
    text = FIVE_LINES.replace(host, head or host) + f"[endpoint]\n{table}\n"
    environment = settings.load("dev", write(tmp_path, text))
    (entity,) = describe(environment, champion(environment))["config"]["served_entities"]
    assert entity.get("environment_vars") == expected
    endpoint = {"name": "e", "ai_gateway": None}
    given = tables_of(endpoint, entity)["endpoint"].get("require_gpu")
    wanted = None if "cpu" in table else GPU_VARIABLE in (expected or {})
    assert given is wanted, "an adoption takes it over"
