"""The commands and programs of the README, as they stand there, in one shell."""

from __future__ import annotations

import re
import subprocess

import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.acceptance.site import Site

pytestmark = pytest.mark.acceptance


def commands() -> list[str]:
    """Lines of the bash blocks, and each Python block as a program. Output is in console blocks, a
    cloud workspace's in text blocks; the two `make` commands are run by CI.
    """
    text = (ROOT / "README.md").read_text()
    found = []
    for language, block in re.findall(r"^```(bash|python)\n(.*?)^```$", text, re.M | re.S):
        if language == "python":
            found.append(f"python - <<'PROGRAM'\n{block}PROGRAM")
        else:
            lines = [line.strip() for line in block.splitlines()]
            found += [line for line in lines if line and not line.startswith(("#", "make "))]
    return found


def test_the_readme_shows_the_main_commands() -> None:
    for command in ("workspace start", "build local", "smoke local", "embed local", "plan"):
        assert any(line.startswith(f"scgpt {command}") for line in commands())
    assert any(line.startswith("python") and "embed(" in line for line in commands())


def test_every_command_runs(quickstart: Site) -> None:
    # Only the place differs: what the README makes in .local lies in a folder of its own here.
    lines = [line.replace(".local/", f"{quickstart.folder}/") for line in commands()]
    told = [f"echo {'=' * 3} line {number} >&2\n{line}" for number, line in enumerate(lines)]
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(told)],
            cwd=ROOT,
            env=quickstart.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        quickstart.check_silence(done.stdout + done.stderr)
        last = done.stderr.rpartition("=== line ")[2]
        assert done.returncode == 0, f"{lines[int(last.split()[0])]}\n{last}\n{done.stdout[-3000:]}"
    finally:
        quickstart.start_workspace()
