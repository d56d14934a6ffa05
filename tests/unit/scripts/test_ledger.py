"""The ledger of an environment, in the volume of a real workspace."""

from __future__ import annotations

import pytest

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.ledger import Entry
from tests.unit.scripts.release.lab import Lab


def entry(operation: str = "promote", what: str = "dev version 1", **more: object) -> Entry:
    return Entry(operation=operation, what=what, by="somebody", **more)  # type: ignore[arg-type]


def test_operations_are_kept_in_order_of_time(lab: Lab) -> None:
    ledger = lab.ledger("dev")
    assert ledger.entries() == []
    for number in range(3):
        ledger.add(entry("build", f"version {number}", after={number: 100}))
    begun = entry()
    ledger.begin(begun)
    found = ledger.entries()
    assert [each.operation for each in found] == ["build", "build", "build", "promote"]
    assert [each.state for each in found] == ["done", "done", "done", "open"]
    assert found[0].after.keys() <= {0, 1, 2}
    assert len(ledger.entries(last=2)) == 3  # the open one beside them
    ledger.close(begun.model_copy(update={"state": "done"}))
    assert ledger.open() is None
    assert ledger.entries()[-1].state == "done"


def test_another_operation_is_told_who_works_there(lab: Lab) -> None:
    ledger = lab.ledger("dev")
    ledger.begin(entry())
    other = entry("rollback", "to version 1")
    with pytest.raises(DeployError, match=r"promote of dev version 1, begun by somebody on"):
        ledger.begin(other)
    with pytest.raises(DeployError, match="run the same command again to end it"):
        ledger.require_free(other)


def test_the_same_work_goes_on_here_and_elsewhere_only_when_told_to(lab: Lab) -> None:
    ledger = lab.ledger("dev")
    begun = entry(host="another", why="as it began")
    ledger.begin(begun)
    with pytest.raises(DeployError, match="go on with --resume"):
        ledger.require_free(entry())
    assert ledger.require_free(entry(), resume=True) == begun
    here = entry(host="another")
    assert ledger.require_free(here) == begun


def test_beginning_and_closing_twice_does_no_harm(lab: Lab) -> None:
    ledger, begun = lab.ledger("dev"), entry()
    for _ in range(2):
        ledger.begin(begun)
    for _ in range(2):
        ledger.close(begun.model_copy(update={"state": "done"}))
    assert [each.id for each in ledger.entries()] == [begun.id]


def test_without_a_volume_a_person_is_told_to_deploy(lab: Lab) -> None:
    ledger = lab.ledger("dev")
    volume = "/api/2.1/unity-catalog/volumes"
    lab.call("DELETE", f"{volume}/dev.scgpt.artifacts")
    try:
        with pytest.raises(DeployError, match=r"has no volume dev.scgpt.artifacts"):
            ledger.begin(entry())
    finally:
        lab.call("POST", volume, name="artifacts", volume_type="MANAGED", catalog_name="dev",
                 schema_name="scgpt")  # fmt: skip
