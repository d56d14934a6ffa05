"""A build tells how its vocabulary differs from the champion's, in a real registry."""

from __future__ import annotations

import json
from pathlib import Path

from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.release.vocabulary import beside_champion
from tests.unit.scripts.release.lab import Lab


def test_genes_that_are_lost_and_new_are_named(lab: Lab, files: Path, tmp_path: Path) -> None:
    champion = lab.register("dev", files)
    vocabulary = json.loads(next(files.rglob("vocab.json")).read_text())
    first, *others = vocabulary

    def told(genes: list[str]) -> str:
        (tmp_path / "vocab.json").write_text(json.dumps({gene: i for i, gene in enumerate(genes)}))
        with connected(lab.settings("dev")):
            return beside_champion(tmp_path, champion.model, champion.number)

    assert told([*reversed(vocabulary)]) == ""
    lacks = f"it lacks 1 gene ({first}), so promotions and canaries refuse it"
    start = f"its vocabulary is not that of the champion, version {champion.number}: "
    assert told(others) == start + lacks
    assert told([*vocabulary, "NEW1", "NEW2"]).endswith(
        "it has 2 genes (NEW1, NEW2) beside the champion's"
    )


def test_a_champion_that_cannot_be_read_stops_no_build(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    with connected(lab.settings("dev")):
        model = lab.settings("dev").names.full_model
        told = beside_champion(tmp_path, model, 99)
    assert told.startswith("the vocabulary of the champion, version 99, cannot be read: ")
