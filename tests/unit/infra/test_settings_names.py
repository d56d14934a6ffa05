"""Names that Databricks or Terraform would refuse, or that would be somebody else's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.monitoring import quoted
from scgpt_databricks.infra.naming import Names
from tests.unit.infra.manifests import canary, manifest, served
from tests.unit.infra.toml_files import FIVE_LINES, problems, write


@pytest.mark.parametrize("catalog", ["system", "hive_metastore", "samples"])
def test_catalogs_of_the_platform(tmp_path: Path, catalog: str) -> None:
    (_, line) = problems(tmp_path, FIVE_LINES.replace("lab", catalog))
    assert line.startswith("catalog: is a catalog of the platform")


def test_the_schema_of_every_catalog(tmp_path: Path) -> None:
    (_, line) = problems(tmp_path, f'schema = "information_schema"\n{FIVE_LINES}')
    assert line.startswith("schema: is the platform's own")


OTHERS = ["ml-prod", "2026", "7_days", "gene+cell", "目录", "a`b", "ann@lab", "x" * 255]


@pytest.mark.parametrize("key", ["catalog", "schema", "model", "volume", "checkpoints_volume"])
@pytest.mark.parametrize("name", OTHERS)
def test_names_that_others_gave_are_taken_as_they_are(tmp_path: Path, key: str, name: str) -> None:
    rest = FIVE_LINES if key != "catalog" else FIVE_LINES.replace('catalog = "lab"', "")
    loaded = settings.load("dev", write(tmp_path, f'{key} = "{name}"\n{rest}'))
    assert loaded.model_dump(by_alias=True)[key] == name
    path = tmp_path / "dev.release.json"
    release.write(path, canary(loaded))
    assert release.find(path, model=loaded.names.full_model) == canary(loaded)


@pytest.mark.parametrize("key", ["catalog", "schema", "model", "volume"])
@pytest.mark.parametrize("name", ["a.b", "a b", "a/b", "a\\tb", "\\u007f", "", "x" * 256])
def test_names_that_unity_catalog_has_not(tmp_path: Path, key: str, name: str) -> None:
    rest = FIVE_LINES if key != "catalog" else FIVE_LINES.replace('catalog = "lab"', "")
    (_, line) = problems(tmp_path, f'{key} = "{name}"\n{rest}')
    assert line.startswith(f"{key}: must be 1-255 characters without . / space and control")


def test_upper_case_is_not_how_a_name_is_stored(tmp_path: Path) -> None:
    (_, line) = problems(tmp_path, f'schema = "ML-Prod"\n{FIVE_LINES}')
    assert line.startswith("schema: must be 'ml-prod': Unity Catalog stores lower case")


@pytest.mark.parametrize("model", ["m" * 255, "m" * 56, "gene+cell", "目录", "scgpt-model"])
def test_every_model_has_a_name_behind_an_endpoint(tmp_path: Path, model: str) -> None:
    loaded = settings.load("dev", write(tmp_path, f'model = "{model}"\n{FIVE_LINES}'))
    for version in (1, 999_999, 1_000_000):
        name = loaded.names.served_entity(version)
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name)
        assert name.endswith(f"-{version}")
        manifest(loaded, served(version, 100, "champion"))


def test_a_given_name_is_not_the_made_one_of_another_version(tmp_path: Path) -> None:
    loaded = settings.load("dev", write(tmp_path, FIVE_LINES))
    nine, ten = canary(loaded).served
    with pytest.raises(ValueError, match="each name may appear once"):
        manifest(loaded, nine.model_copy(update={"name": loaded.names.served_entity(10)}), ten)
    swapped = manifest(
        loaded,
        nine.model_copy(update={"name": loaded.names.served_entity(10)}),
        ten.model_copy(update={"name": loaded.names.served_entity(9)}),
    )
    assert [swapped.name_of(each)[-2:] for each in swapped.served] == ["10", "-9"]
    path = tmp_path / "dev.release.json"
    release.write(path, swapped)
    assert release.read(path) == swapped


@pytest.mark.parametrize("role", ["deployer", "planner", "builder"])
@pytest.mark.parametrize("who", ["my group", "admins", "00000000-0000-0000-0000-00000000000"])
def test_what_runs_pipelines_is_no_group(tmp_path: Path, role: str, who: str) -> None:
    (_, line) = problems(tmp_path, f'{role} = "{who}"\n{FIVE_LINES}')
    assert line.startswith(f"{role}: must be the application id of a service principal")


@pytest.mark.parametrize("privileges", ["", "model = []\n"])
def test_a_grant_grants_something(tmp_path: Path, privileges: str) -> None:
    (_, line) = problems(tmp_path, f'{FIVE_LINES}[[grants]]\nprincipal = "team"\n{privileges}')
    assert line.startswith("grants.0: no privilege for team: give schema, model, volume or")


@pytest.mark.parametrize("prefix", ["scgpt-serving", "Cells_2", "_x", "7-days", "a" * 63])
def test_prefixes_that_the_platform_makes_itself(tmp_path: Path, prefix: str) -> None:
    text = f'{FIVE_LINES}[gateway]\ninference_table_prefix = "{prefix}"\n'
    names = settings.load("dev", write(tmp_path, text)).names
    assert names.inference_table == f"lab.scgpt.{prefix}_payload"


@pytest.mark.parametrize("prefix", ["-x", "a.b", "a b", "a`b", "a/b", "a" * 64])
def test_prefixes_that_no_table_may_have(tmp_path: Path, prefix: str) -> None:
    text = f'{FIVE_LINES}[gateway]\ninference_table_prefix = "{prefix}"\n'
    (_, line) = problems(tmp_path, text)
    assert line.startswith("gateway.inference_table_prefix: must be 1-63 letters, digits, - and _")


def test_names_in_sql() -> None:
    assert quoted("main.scgpt.scgpt_inference_payload") == "main.scgpt.scgpt_inference_payload"
    assert quoted("main.scgpt.scgpt-serving_payload") == "main.scgpt.`scgpt-serving_payload`"
    assert quoted("main.scgpt.7_payload") == "main.scgpt.`7_payload`"
    assert quoted("ml-prod.a`b.t") == "`ml-prod`.`a``b`.t"


def test_a_names_served_entity_is_that_of_the_manifest(tmp_path: Path) -> None:
    loaded = settings.load("dev", write(tmp_path, FIVE_LINES))
    names: Names = loaded.names
    assert [names.served_entity(each.version) for each in canary(loaded).served] == [
        canary(loaded).name_of(each) for each in canary(loaded).served
    ]
