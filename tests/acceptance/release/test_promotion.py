"""dev, staging, prod on one local workspace, as people type it; `docs/promotion.md` shows it."""

from __future__ import annotations

import os
import re
import signal
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.acceptance.site import Done, Site

PAGE = ROOT / "docs" / "promotion.md"
BLOCK = re.compile(r"(<!-- transcript -->\n```text\n)(.*?)(^```$)", re.M | re.S)
MODEL = "scgpt_gene_embeddings"

_TOML = """
catalog = "{name}"
deletion_protection = false
[workspace]
local = true
[endpoint]
name = "scgpt-{name}"
workload_type = "CPU"
timeout_minutes = 10
[monitoring]
enabled = false
[promotion]
{promotion}
[state]
backend = "local"
"""
_FROM = {"dev": "", "staging": 'source = "dev"\napproval = false', "prod": 'source = "staging"'}

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A workspace with the registry of three environments."""
    site = Site(tmp_path / "site")
    try:
        site.start_workspace()
        for name, promotion in _FROM.items():
            (site.folder / f"{name}.toml").write_text(_TOML.format(name=name, promotion=promotion))
        for name in _FROM:
            site.succeed("deploy", name)
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
    assert _live(site) == {f"{MODEL}-1": 100, f"{MODEL}-2": 0}
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
    """Kill a command as soon as it has written down that it begins."""
    process = site.start(*arguments)
    history = site.folder / "workspace/files/Volumes/staging/scgpt/artifacts/history/open.json"
    deadline = time.monotonic() + 120
    while not history.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert history.exists()


def _live(site: Site) -> dict[str, int]:
    config = site.api("GET", "/api/2.0/serving-endpoints/scgpt-prod")["config"]
    routes = config["traffic_config"]["routes"]
    return {
        route.get("served_entity_name") or route["served_model_name"]: route["traffic_percentage"]
        for route in routes
    }
