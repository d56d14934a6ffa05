"""The workflow files, read as GitHub reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from scgpt_databricks.infra.layout import ROOT

Json = dict[str, Any]

FOLDER = ROOT / ".github" / "workflows"
SETUP = ROOT / ".github" / "actions" / "setup" / "action.yml"
DEPENDABOT = ROOT / ".github" / "dependabot.yml"
FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
NAMES = ("ci", "deploy", "drift", "plan", "promote", "release", "soak")


class _Loader(yaml.SafeLoader):
    """YAML 1.2 in the one point that matters here: `on` is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def read(path: Path) -> Json:
    document: Json = yaml.load(path.read_text(), _Loader)
    return document


def workflow(name: str) -> Json:
    return read(FOLDER / f"{name}.yml")


def jobs() -> list[tuple[str, Json, Json]]:
    """Every job: its name, the job, its workflow."""
    return [
        (f"{name}.{key}", job, workflow(name))
        for name in NAMES
        for key, job in workflow(name)["jobs"].items()
    ]


def steps() -> list[tuple[str, Json]]:
    """Every step, those of the composite action included."""
    found = [(name, step) for name, job, _ in jobs() for step in job["steps"]]
    return found + [("setup", step) for step in read(SETUP)["runs"]["steps"]]
