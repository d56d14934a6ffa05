"""What can be said of the clients without running them: they name what the contract has."""

from __future__ import annotations

import json
import re

import pytest
import sqlglot
import yaml

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.model.contract import CELL_EMBEDDINGS, GUIDE_COLUMNS, read_params
from scgpt_databricks.model.scgpt.params import ScgptOptions
from scgpt_databricks.model.wire.rows import read_rows

CLIENTS = ROOT / "examples" / "clients"
BRACKETS = {")": "(", "]": "[", "}": "{"}


def test_the_request_is_one_of_the_contract() -> None:
    body = json.loads((CLIENTS / "request.json").read_text())
    assert read_params(body["params"], ScgptOptions).task == CELL_EMBEDDINGS
    split = body["dataframe_split"]
    records = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    (row,) = read_rows(records, [])
    cells = row.required_cells()
    assert cells.ids == ["T", "NK", "B", "monocyte"]
    assert cells.counts.shape == (4, len(cells.genes))


@pytest.mark.parametrize(
    ("name", "comment"), [("power_query.pq", r"//.*"), ("rest.R", r"#(?!\").*")]
)
def test_what_cannot_run_here_asks_as_the_contract_says(name: str, comment: str) -> None:
    text = (CLIENTS / name).read_text()
    assert "Untried." in text
    for word in (*GUIDE_COLUMNS, CELL_EMBEDDINGS, "dataframe_split", "invocations", "Bearer"):
        assert word in text or (word == "Bearer" and "req_auth_bearer_token" in text)
    code = re.sub(comment, "", re.sub(r'"(?:[^"\n])*"', '""', text))
    opened: list[str] = []
    for sign in re.findall(r"[()\[\]{}]", code):
        if sign in BRACKETS:
            assert opened.pop() == BRACKETS[sign]
        else:
            opened.append(sign)
    assert opened == []


def test_the_statements_are_of_the_dialect() -> None:
    text = (CLIENTS / "ai_query.sql").read_text()
    kinds = [tree.key for tree in sqlglot.parse(text, read="databricks") if tree]
    assert kinds == ["create", "insert", "select"]


def test_the_service_leads_to_the_container() -> None:
    deployment, service = yaml.safe_load_all((CLIENTS / "kubernetes.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] == container["ports"][0]["containerPort"] == 8080
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/ping", "port": 8080}
