"""Import blocks beside a stack, with a resource that is built into Terraform."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from scgpt_databricks.infra.guards import Existing, Facts
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.scripts.deploy.deployment import bring_imports, left_over
from scgpt_databricks.scripts.deploy.terraform import Terraform, import_blocks
from tests.unit.infra.plans import document, entry


def told(plan: Plan) -> list[tuple[str, str]]:
    return [(change.address, change.action) for change in plan.changes]


@pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform")
def test_what_blocks_import_is_a_change_until_it_is_applied(tmp_path: Path) -> None:
    environments, folder = tmp_path / "environments", tmp_path / "stacks" / "dev-registry"
    environments.mkdir()
    folder.mkdir(parents=True)
    data = {"resource": {"terraform_data": {"kept": {}, "moved": {"input": "a"}, "new": {}}}}
    (folder / "cdk.tf.json").write_text(json.dumps(data))
    taken = {"terraform_data.kept": "1", "terraform_data.moved": "2"}
    written = environments / "dev-registry.imports.tf.json"
    written.write_text(import_blocks(taken))
    bring_imports(environments, folder)
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    terraform = Terraform(folder, environment, lambda _: None)
    terraform.init(forget_lock=True)
    assert told(terraform.plan()) == [
        ("terraform_data.kept", "import"),
        ("terraform_data.moved", "import+update"),
        ("terraform_data.new", "create"),
    ]
    assert told(terraform.plan(imports={"terraform_data.new": "3"})) == [
        ("terraform_data.kept", "import"),
        ("terraform_data.moved", "import+update"),
        ("terraform_data.new", "import"),
    ], "what is left over, beside the blocks of the stack"
    assert told(terraform.plan())[2] == ("terraform_data.new", "create")
    terraform.apply()
    assert terraform.ids() > {"1", "2"}
    assert told(terraform.plan()) == [], "the blocks may stay"
    written.unlink()
    bring_imports(environments, folder)
    assert [path.name for path in folder.glob("*.tf.json")] == ["cdk.tf.json"]


def test_only_what_the_same_deployer_made_is_taken_over() -> None:
    names = ("mine", "theirs", "anyones", "broken", "absent")
    plan = Plan.of(
        document(
            *(entry("schema", ["create"], None, {}, name) for name in names),
            entry("schema", ["update"], {}, {"comment": "a"}, "held"),
        )
    )
    existing = {
        "mine": Existing("1", "me"),
        "theirs": Existing("2", "ann"),
        "anyones": Existing("3", None, anyones=True),
        "broken": Existing("4", "me", broken=True),
        "held": Existing("5", "me"),
    }
    known = Facts(
        deployer="me",
        existing={f"databricks_schema.{name}": each for name, each in existing.items()},
    )
    assert left_over(plan, known) == {
        "databricks_schema.mine": "1",
        "databricks_schema.anyones": "3",
    }
