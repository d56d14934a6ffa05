"""The signature is what clients and the registry hold on to."""

from __future__ import annotations

from scgpt_databricks.model import pyfunc
from scgpt_databricks.model.build import signature_digest

DIGEST = "a8f8f79960fb6684ecb573988f8aeaf90c892b4cedebd6cf6fcd2c0bef8e14fb"


def test_the_signature_is_that_of_the_versions_before() -> None:
    """Columns, params, their order, types and defaults. A change is a change of the contract."""
    assert signature_digest(pyfunc.signature()) == DIGEST
