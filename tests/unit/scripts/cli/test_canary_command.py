"""Exit codes of ``scgpt canary replay``."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.release.replay import Replayed


@pytest.mark.parametrize(("decision", "code"), [("roll back", 3), ("undecided", 0), ("promote", 0)])
def test_a_replay_that_speaks_against_a_canary_is_no_success(decision: Any, code: int) -> None:
    found = Replayed("local", 30, 7, 0, 0, 1.2, decision, "so it is")
    with patch("scgpt_databricks.scripts.release.replay.replay", return_value=found):
        done = CliRunner().invoke(cli, ["canary", "replay", "local"])
    assert done.exit_code == code, done.output
    assert f"{decision}: so it is" in done.output
