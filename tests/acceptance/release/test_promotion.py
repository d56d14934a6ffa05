"""dev, staging, prod on one local workspace, as people type it; `docs/promotion.md` shows it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.acceptance.release.environments import MODEL, three, traffic, validated
from tests.acceptance.site import Done, Site, wait_until
from tests.variants import reverse_dimensions

PAGE = ROOT / "docs" / "promotion.md"
TRANSCRIPT = re.compile(r"(<!-- transcript -->\n```text\n)(.*?)(^```$)", re.M | re.S)
REVIEW = re.compile(r"(<!-- review -->\n\n)(.*?)(^<!-- end of the review -->$)", re.M | re.S)
FIGURE = re.compile(r"\d+\.\d+")
"""These differ a little from machine to machine."""
ORIGIN = ("--licence", "MIT", "--provenance", "made up for this page")

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A workspace with the registry of three environments."""
    # The machine of the tests is busy, and nothing here is about latency.
    busy = "slowdown = 10"
    site = three(tmp_path / "site", staging=f"approval = false\n{busy}", prod=busy)
    try:
        yield site
    finally:
        site.stop_workspace()


def plain(text: str) -> str:
    """Return what a command says without what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-12-01 09:00", text)
    text = re.sub(r"[\d.,]+ µs per token", "50.0 µs per token", text)
    text = re.sub(r"\d+\.\d\d times the champion's", "1.00 times the champion's", text)
    # Where the kill comes after the copy was begun, the copy that is removed has had number 2.
    text = re.sub(r"(staging\S* version) 3\b", r"\1 2", text)
    lines = (_wrapped(line.rstrip()) for line in text.strip().splitlines())
    return "\n".join(lines)


def _wrapped(line: str) -> str:
    """Break a line that is longer than those of a page."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    broken = textwrap.wrap(line, 118, subsequent_indent=indent, break_on_hyphens=False)
    return "\n".join(broken) if len(line) > 118 and not line.startswith("|") else line


def test_versions_go_up_and_come_back(
    site: Site, demo_checkpoints: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lines: list[str] = []

    def type_(*arguments: str, code: int = 0) -> Done:
        done = site.scgpt(*arguments, limit_s=600)
        assert done.code == code, f"{arguments}: {done.code}\n{done.out}\n{done.err}"
        quoted = " ".join(f'"{a}"' if " " in a else a for a in arguments)
        refusal = done.err.partition("error: ")[2] if code else ""
        lines.extend([f"$ scgpt {quoted}", plain(done.out or f"error: {refusal}"), ""])
        return done

    _build(site, 1, demo_checkpoints / "checkpoint")
    type_("promote", "dev", "staging", "--dry-run")
    type_("promote", "dev", "staging")
    type_("promote", "staging", "prod", code=3)
    type_("approve", "prod", "1")
    type_("promote", "staging", "prod")
    site.succeed("deploy", "prod", limit_s=600)

    other = shutil.copytree(demo_checkpoints / "checkpoint", tmp_path / "other")
    reverse_dimensions(other)
    _build(site, 2, other)
    _cut_off(site, "promote", "dev", "staging")
    site.succeed("promote", "dev", "staging", limit_s=600)
    assert site.scgpt("promote", "staging", "prod", "--keep-previous", limit_s=600).code == 3
    site.succeed("approve", "prod", "2")
    type_("promote", "staging", "prod", "--keep-previous")
    review = plain((site.folder / "deploy" / "promote-prod.md").read_text())
    site.succeed("deploy", "prod", limit_s=600)
    type_("rollback", "prod", "--why", "answers are slow")
    assert traffic(site, "scgpt-prod") == {f"{MODEL}-1": 100, f"{MODEL}-2": 0}
    plan = site.succeed("plan", "prod", "--json", limit_s=600).json
    assert plan["changes"] == 0, "the endpoint is as the manifest says"
    type_("history", "prod")
    assert site.scgpt("promote", "dev", "prod").code == 1

    transcript = "\n".join(lines).rstrip() + "\n"
    for pattern, text in ((TRANSCRIPT, transcript), (REVIEW, f"{review}\n\n")):
        _compare(pattern, text, rewrite=request.config.getoption("--rewrite-cases"))


def _compare(pattern: re.Pattern[str], text: str, *, rewrite: bool) -> None:
    """Compare a block of the page, or put the text into it."""
    page = PAGE.read_text()
    found = pattern.search(page)
    assert found is not None
    if rewrite:
        PAGE.write_text(pattern.sub(lambda m: m[1] + text + m[3], page))
    else:
        shown, said = (FIGURE.sub("1.0", each).splitlines() for each in (found[2], text))
        assert shown == said


def _build(site: Site, number: int, checkpoint: Path) -> None:
    """Build and release a version in dev that counts as validated."""
    options = (*ORIGIN, "--no-clean-environment", "--release")
    site.succeed("build", "dev", "--checkpoint", checkpoint, *options, limit_s=600)
    validated(site, f"dev.scgpt.{MODEL}", number)


def _cut_off(site: Site, *arguments: str) -> None:
    """Kill a command as soon as it has written down what the gates said."""
    process = site.start(*arguments)
    history = site.folder / "workspace/files/Volumes/staging/scgpt/artifacts/history/open.json"
    wait_until(lambda: history.exists() and '"gates"' in history.read_text(), 600)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert history.exists()
