"""`docs/promotion.md` shows the runs of `make soak` as they are committed."""

from __future__ import annotations

import json

from benchmarks.crash_safety import RESULTS, markdown
from scgpt_databricks.infra.layout import ROOT


def test_the_page_shows_the_runs_that_are_committed() -> None:
    rows = json.loads(RESULTS.read_text())
    assert markdown(rows) in (ROOT / "docs" / "promotion.md").read_text()
    assert all(row["converged"] for row in rows)
