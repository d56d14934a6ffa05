from __future__ import annotations

import pytest

from scgpt_databricks.scripts.gitops.github import AUTHOR, is_ours
from scgpt_databricks.scripts.gitops.markdown import bullets, code, listing, plain, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`@org` and a_b.c are fine", "`@org` and a_b.c are fine"),
        ("@org/everyone", "@\u200borg/everyone"),
        ("[approve](https://evil.test)", "[approve]\\(https://evil.test)"),
        ("<details>\n<!--", "&lt;details> &lt;!--"),
        ("a ` @b", "a \\` @\u200bb"),
        ("``a ` @b`` @c", "``a ` @b`` @\u200bc"),
        ("``@a` @b", "\\`\\`@\u200ba\\` @\u200bb"),
        ("\\`a` @b` @c", "\\\\`a` @\u200bb\\` @\u200bc"),
    ],
)
def test_words_of_others_stay_words(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("cell", "escaped"),
    [("a|b", "a\\|b"), ("a\\|b", "a\\\\\\|b"), ("a\\\\|b", "a\\\\\\|b"), ("a\\b", "a\\b")],
)
def test_a_bar_in_a_cell(cell: str, escaped: str) -> None:
    """An odd number of backslashes before it keeps it within the cell, in code as well."""
    assert table(["x"], [[code(cell)]]).splitlines()[2] == f"| `{escaped}` |"


def test_lists_and_tables_count_what_there_is_no_room_for() -> None:
    assert bullets(["aaaa", "bbbb", "cccc"], 15) == "- aaaa\n- bbbb\n- ... 1 more"
    assert bullets(["aaaa"], -1) == "- ... 1 more"
    rows = [["aaaa"], ["bbbb"], ["cccc"]]
    assert table(["x"], rows, 18) == "| x |\n| --- |\n| aaaa |\n| bbbb |\n\n... 1 more"


def test_listings() -> None:
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing(iter(["a"])) == "a"
    assert listing([]) == "nothing"


def test_a_comment_of_a_deleted_account_is_not_ours() -> None:
    assert not is_ours({"user": None, "body": "marker"}, "marker")
    assert not is_ours({"user": {"login": "ann"}, "body": "marker"}, "marker")
    assert is_ours({"user": {"login": AUTHOR}, "body": "marker and more"}, "marker")
