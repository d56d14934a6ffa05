"""What is served is under permissive licences; of copyleft ones, only the MPL, unmodified."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

from scgpt_databricks.model.build import HVG_REQUIREMENTS, REQUIREMENTS

_REFUSED = re.compile(r"\b[AL]?GPL|General Public License|\bSSPL|\bBUSL", re.IGNORECASE)


def served() -> dict[str, metadata.Distribution]:
    """Everything that the requirements of a served model bring along, as installed here."""
    found: dict[str, metadata.Distribution] = {}
    todo = [*REQUIREMENTS, *HVG_REQUIREMENTS]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        needed = map(Requirement, found[name].requires or [])
        todo += [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def licence(of: metadata.Distribution) -> str:
    """Its expression, its classifiers, the first line of its licence; empty where it says none."""
    said: dict[str, Any] = of.metadata.json
    classifiers = [x for x in said.get("classifier", []) if x.startswith("License")]
    first_line = said.get("license", "").strip().partition("\n")[0]
    return ", ".join([said.get("license_expression", ""), *classifiers, first_line])


def test_nothing_that_is_served_is_under_a_gpl() -> None:
    licences = {name: licence(of) for name, of in served().items()}
    assert {"mlflow", "torch", "requests", "scanpy"} <= licences.keys()
    assert {name: said for name, said in licences.items() if _REFUSED.search(said)} == {}


def test_a_gpl_would_be_seen() -> None:
    for said in ("AGPL-3.0-only", "LGPL-2.1", "GNU General Public License v3 (GPLv3)", "GPLv2"):
        assert _REFUSED.search(said), said
    for said in ("MPL-2.0 AND MIT", "BSD-3-Clause", "Apache Software License"):
        assert not _REFUSED.search(said), said
