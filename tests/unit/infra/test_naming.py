from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.infra.naming import Names, beside, grant_id, state_key

words = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
principals = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40
)


@given(principals, principals)
def test_grant_ids_are_valid_and_differ_where_principals_do(one: str, other: str) -> None:
    for name in (one, other):
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", grant_id("schema", name))
    assert (grant_id("schema", one) == grant_id("schema", other)) is (one == other)


def test_a_plain_principal_stays_readable() -> None:
    assert grant_id("model", "scientists") == "model_grant_scientists"
    assert grant_id("model", "a.b@c") != grant_id("model", "a_b_c")


@given(words, words, words, st.integers(1, 10**6), st.integers(1, 10**6))
def test_served_entities_differ_where_versions_do(
    catalog: str, schema: str, model: str, one: int, other: int
) -> None:
    names = Names(
        environment="dev",
        catalog=catalog,
        schema=schema,
        model=model,
        volume="v",
        endpoint="e",
        inference_table_prefix=None,
    )
    assert names.full_model.split(".") == [catalog, schema, model]
    assert (names.served_entity(one) == names.served_entity(other)) is (one == other)
    assert names.served_entity(one).removeprefix(f"{model}-") == str(one)
    assert names.inference_table is None
    assert names.requests_table is None, "without payloads there is nothing beside them"
    logged = replace(names, inference_table_prefix="p")
    tables = (logged.inference_table, logged.requests_table, logged.all_payloads)
    jobs = (beside(str(logged.inference_table), kind) for kind in TABLES if kind != "requests")
    found = (*tables, *jobs)
    assert beside(str(logged.inference_table), "requests") == logged.requests_table
    assert len(set(found)) == len(found), "no two tables share a name"
    assert all(str(name).startswith(f"{names.full_schema}.p_") for name in found)


def test_state_keys_take_any_spelling_of_the_prefix() -> None:
    assert state_key("/scgpt//dev/", "dev-registry") == "scgpt/dev/dev-registry.tfstate"
    assert state_key("", "dev-registry") == "dev-registry.tfstate"
