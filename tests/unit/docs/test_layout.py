"""The layout in the README is the layout of the repository."""

from __future__ import annotations

import re
import subprocess

from scgpt_databricks.infra.layout import ROOT

ROOMS = ("infra", "local_workspace", "model", "scripts")


def named() -> set[str]:
    """Return the folders that the README's block of the layout names."""
    blocks = re.findall(r"^```text\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    (block,) = (text for text in blocks if text.startswith("infra/"))
    found, parent = set[str](), ""
    for line in block.splitlines():
        inner = line.startswith("  ")
        folders = re.match(r"\s*((?:\w+/ ?)+)", line)
        assert folders is not None, line
        for name in folders[1].split():
            found.add(parent + name.rstrip("/") if inner else name.rstrip("/"))
        if not inner:
            parent = folders[1].strip()
    return found


def tracked() -> set[str]:
    """Return the folders at the top, and those below the four folders that hold rooms."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    parts = [line.split("/") for line in listed.stdout.splitlines()]
    top = {path[0] for path in parts if len(path) > 1 and not path[0].startswith(".")}
    rooms = {"/".join(path[:2]) for path in parts if len(path) > 2 and path[0] in ROOMS}
    return top | rooms


def test_every_folder_is_named_and_exists() -> None:
    assert named() == tracked()
