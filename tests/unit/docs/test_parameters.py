"""The page of parameters is what the code says."""

from __future__ import annotations

from scgpt_databricks.scripts import parameters


def test_the_page_is_current() -> None:
    command = "python -m scgpt_databricks.scripts.parameters"
    assert parameters.PAGE.read_text() == parameters.page(), f"{command} writes it anew"


def test_every_argument_and_every_param_has_a_text() -> None:
    text = parameters.page()
    for name in ("key", "cache", "n_top_genes", "checkpoint"):
        assert f"`{name}=" in text
    for name in ("task", "ties", "embsize"):
        assert f"| `{name}` |" in text
