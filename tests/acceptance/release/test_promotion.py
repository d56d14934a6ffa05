"""dev, staging, prod on one local workspace, as people type it; `docs/promotion.md` shows it."""

from __future__ import annotations

import os
import re
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.acceptance.release.environments import MODEL, three, traffic
from tests.acceptance.site import Done, Site, wait_until

PAGE = ROOT / "docs" / "promotion.md"
BLOCK = re.compile(r"(<!-- transcript -->\n```text\n)(.*?)(^```$)", re.M | re.S)

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A workspace with the registry of three environments."""
    site = three(tmp_path / "site", staging="approval = false")
    try:
        yield site
    finally:
        site.stop_workspace()


def plain(text: str) -> str:
    """Return what a command says without what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-12-01 09:00", text)
    text = re.sub(r"[\d.,]+ µs per token", "50.0 µs per token", text)
    text = re.sub(r"\d\.\d\d times the champion's", "1.00 times the champion's", text)
    lines = (_wrapped(line.rstrip()) for line in text.strip().splitlines())
    return "\n".join(lines)


def _wrapped(line: str) -> str:
    """Break a line that is longer than those of a page."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    broken = textwrap.wrap(line, 118, subsequent_indent=indent, break_on_hyphens=False)
    return "\n".join(broken) if len(line) > 118 else line


def test_versions_go_up_and_come_back(
    site: Site, demo_checkpoints: Path, request: pytest.FixtureRequest
) -> None:
    lines: list[str] = []

    def type_(*arguments: str, code: int = 0) -> Done:
        done = site.scgpt(*arguments)
        assert done.code == code, f"{arguments}: {done.code}\n{done.out}\n{done.err}"
        quoted = " ".join(f'"{a}"' if " " in a else a for a in arguments)
        refusal = done.err.partition("error: ")[2] if code else ""
        lines.extend([f"$ scgpt {quoted}", plain(done.out or f"error: {refusal}"), ""])
        return done

    checkpoint = ("--checkpoint", demo_checkpoints / "random")
    site.succeed("build", "dev", *checkpoint)
    _licensed(site, 1)
    type_("promote", "dev", "staging", "--dry-run")
    type_("promote", "dev", "staging")
    type_("promote", "staging", "prod", code=3)
    type_("approve", "prod", "1")
    type_("promote", "staging", "prod")
    site.succeed("deploy", "prod")

    # The same weights in another version: a folder more may be read.
    prefix = ("--allowed-path-prefix", "/Volumes/dev/scgpt/artifacts")
    site.succeed("build", "dev", *checkpoint, *prefix, "--release")
    _licensed(site, 2)
    _cut_off(site, "promote", "dev", "staging")
    site.succeed("promote", "dev", "staging")
    assert site.scgpt("promote", "staging", "prod", "--keep-previous").code == 3
    site.succeed("approve", "prod", "2")
    type_("promote", "staging", "prod", "--keep-previous")
    site.succeed("deploy", "prod")
    type_("rollback", "prod", "--why", "answers are slow")
    assert traffic(site, "scgpt-prod") == {f"{MODEL}-1": 100, f"{MODEL}-2": 0}
    plan = site.succeed("plan", "prod", "--json").json
    assert plan["changes"] == 0, "the endpoint is as the manifest says"
    type_("history", "prod")
    assert site.scgpt("promote", "dev", "prod").code == 1

    found = BLOCK.search(PAGE.read_text())
    assert found is not None
    text = "\n".join(lines).rstrip() + "\n"
    if request.config.getoption("--rewrite-cases"):
        PAGE.write_text(BLOCK.sub(lambda m: m[1] + text + m[3], PAGE.read_text()))
    else:
        assert found[2] == text


def _licensed(site: Site, version: int) -> None:
    path = "/api/2.0/mlflow/unity-catalog/model-versions/set-tag"
    for key, value in {"licence": "MIT", "provenance": "made up for this page"}.items():
        name = f"dev.scgpt.{MODEL}"
        site.api("POST", path, name=name, version=str(version), key=key, value=value)


def _cut_off(site: Site, *arguments: str) -> None:
    """Kill a command as soon as it has written down what the gates said."""
    process = site.start(*arguments)
    history = site.folder / "workspace/files/Volumes/staging/scgpt/artifacts/history/open.json"
    wait_until(lambda: history.exists() and '"gates"' in history.read_text(), 300)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert history.exists()
