"""Import blocks beside a stack, with a resource that is built into Terraform."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from scgpt_databricks.scripts.adopt.imports import blocks
from scgpt_databricks.scripts.deploy.deployment import bring_imports, with_imports
from scgpt_databricks.scripts.deploy.terraform import Terraform


@pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform")
def test_what_blocks_import_is_a_change_until_it_is_applied(tmp_path: Path) -> None:
    environments, folder = tmp_path / "environments", tmp_path / "stacks" / "dev-registry"
    environments.mkdir()
    folder.mkdir(parents=True)
    data = {"resource": {"terraform_data": {"kept": {}, "moved": {"input": "a"}, "new": {}}}}
    (folder / "cdk.tf.json").write_text(json.dumps(data))
    taken = {"terraform_data.kept": "1", "terraform_data.moved": "2"}
    written = environments / "dev-registry.imports.tf.json"
    written.write_text(blocks(taken))
    bring_imports(environments, folder)
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    terraform = Terraform(folder, environment, lambda _: None)
    terraform.init(forget_lock=True)
    assert with_imports(terraform.plan()) == (
        ("terraform_data.kept", "import"),
        ("terraform_data.moved", "import+update"),
        ("terraform_data.new", "create"),
    )
    terraform.apply()
    assert terraform.ids() > {"1", "2"}
    assert with_imports(terraform.plan()) == (), "the blocks may stay"
    written.unlink()
    bring_imports(environments, folder)
    assert [path.name for path in folder.glob("*.tf.json")] == ["cdk.tf.json"]
