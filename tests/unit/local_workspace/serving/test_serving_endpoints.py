"""The state machine of endpoints, and that answers echo what was sent and add nothing."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from scgpt_databricks.local_workspace.catalog import versions
from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.serving import scoring
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving import kit
from tests.unit.local_workspace.serving.conftest import As, Running
from tests.unit.local_workspace.serving.kit import (
    BASE,
    MODEL,
    config,
    create,
    entity,
    query,
    wait,
)

NEVER_INVENTED = {
    *("workload_size", "min_provisioned_concurrency", "environment_vars"),
    *("max_provisioned_concurrency", "scale_to_zero_enabled", "burst_scaling_enabled"),
}


def test_create_deploys_and_becomes_ready(admin: TestClient) -> None:
    answer = admin.post(BASE, json={"name": "e", "config": {"served_entities": [entity(1)]}})
    first = answer.json()
    assert first["state"] == {"ready": "NOT_READY", "config_update": "IN_PROGRESS"}
    assert first["config"]["served_entities"][0]["state"]["deployment"] == "DEPLOYMENT_CREATING"
    assert first["pending_config"]["config_version"] == 1
    done = wait(admin, "e")
    assert done["state"] == {"ready": "READY", "config_update": "NOT_UPDATING"}
    assert "pending_config" not in done
    assert done["config"]["served_entities"][0]["state"]["deployment"] == "DEPLOYMENT_READY"
    assert done["id"] == first["id"]
    assert len(done["id"]) == 32
    assert query(admin).json()["predictions"][0]["version"] == "1"


def test_nothing_is_invented_and_everything_is_echoed(admin: TestClient) -> None:
    plain = create(admin)
    assert not {"ai_gateway", "tags", "description", "email_notifications", "rate_limits"} & {
        *plain
    }
    assert not NEVER_INVENTED & {*plain["config"]["served_entities"][0]}
    assert plain["config"]["served_entities"][0]["workload_type"] == "CPU"
    sent: dict[str, Any] = {
        "description": "d",
        "budget_policy_id": "b",
        "email_notifications": {"on_update_failure": ["a@b.c"]},
        "tags": [{"key": "z"}, {"key": "a", "value": "1"}],
        "ai_gateway": {
            "usage_tracking_config": {},
            "rate_limits": [{"calls": 9, "renewal_period": "minute"}],
        },
        "config": {
            "served_entities": [entity(1, workload_type="GPU_SMALL", workload_size="Small")]
        },
    }
    full = create(admin, "full", **sent)
    for field in ("description", "budget_policy_id", "email_notifications", "tags", "ai_gateway"):
        assert full[field] == sent[field]
    row = full["config"]["served_entities"][0]
    assert {field: row[field] for field in sent["config"]["served_entities"][0]} == sent["config"][
        "served_entities"
    ][0]


def test_a_build_log_says_what_an_image_would_hold(admin: TestClient, workspace: Workspace) -> None:
    folder = versions.folder(workspace, MODEL, 1)
    (folder / "requirements.txt").write_text("pytest==1.0\nno-such-package>=2\n")
    create(admin)
    build = admin.get(f"{BASE}/e/served-models/m-1/build-logs").json()["logs"]
    assert "main.scgpt.m version 1\nThe local workspace builds no image" in build
    assert f"requirement pytest==1.0: {pytest.__version__} is installed" in build
    assert "requirement no-such-package>=2: none is installed" in build
    assert build != admin.get(f"{BASE}/e/served-models/m-1/logs").json()["logs"]
    assert admin.get(f"{BASE}/e/served-models/m-9/build-logs").status_code == 404


def test_entities_stay_in_the_order_sent(admin: TestClient) -> None:
    done = create(admin, config=config((2, 10), (1, 90)))
    assert [row["name"] for row in done["config"]["served_entities"]] == ["m-2", "m-1"]


def test_an_update_keeps_serving_the_old_config_until_it_is_done(admin: TestClient) -> None:
    create(admin)
    admin.put("/_local/settings/deployments", json={"polls_in_progress": 3})
    answer = admin.put(f"{BASE}/e/config", json=config((2, 100))).json()
    assert answer["state"] == {"ready": "READY", "config_update": "IN_PROGRESS"}
    assert answer["config"]["served_entities"][0]["name"] == "m-1"
    assert answer["pending_config"]["served_entities"][0]["name"] == "m-2"
    seen = [admin.get(f"{BASE}/e").json()["state"]["config_update"] for _ in range(2)]
    assert seen == ["IN_PROGRESS"] * 2
    assert query(admin).json()["predictions"][0]["version"] == "1"
    busy = admin.put(f"{BASE}/e/config", json=config((2, 100)))
    assert (busy.status_code, busy.json()["error_code"]) == (409, "RESOURCE_CONFLICT")
    done = wait(admin, "e")
    assert done["config"]["config_version"] == 2
    assert query(admin).json()["predictions"][0]["version"] == "2"


def test_a_version_that_does_not_start_fails_the_update_and_says_why(
    admin: TestClient, workspace: Workspace
) -> None:
    create(admin)
    broken = kit.add_version(workspace, broken=True)
    admin.put(f"{BASE}/e/config", json=config((broken, 100)))
    failed = wait(admin, "e")
    assert failed["state"] == {"ready": "READY", "config_update": "UPDATE_FAILED"}
    assert failed["config"]["served_entities"][0]["name"] == "m-1"
    state = failed["pending_config"]["served_entities"][0]["state"]
    assert state["deployment"] == "DEPLOYMENT_FAILED"
    assert "No module named 'genes'" in state["deployment_state_message"]
    assert query(admin).json()["predictions"][0]["version"] == "1"
    logs = admin.get(f"{BASE}/e/served-models/m-{broken}/logs").json()["logs"]
    assert "No module named 'genes'" in logs
    admin.put(f"{BASE}/e/config", json=config((2, 100)))
    assert wait(admin, "e")["state"] == {"ready": "READY", "config_update": "NOT_UPDATING"}


def test_a_first_deployment_that_fails_is_never_ready(admin: TestClient) -> None:
    admin.put("/_local/settings/deployments", json={"fail": ["m-1"]})
    failed = create(admin)
    assert failed["state"] == {"ready": "NOT_READY", "config_update": "UPDATE_FAILED"}
    assert failed["config"]["served_entities"][0]["name"] == "m-1"
    refused = query(admin)
    assert (refused.status_code, refused.json()["error_code"]) == (409, "RESOURCE_CONFLICT")
    assert "not ready" in refused.json()["message"]
    admin.put("/_local/settings/deployments", json={})
    admin.put(f"{BASE}/e/config", json=config((1, 100)))
    assert wait(admin, "e")["state"]["ready"] == "READY"


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"entity_version": "99"}, 404, "99"),
        ({"entity_name": "main.scgpt.other"}, 404, "main.scgpt.other"),
        ({"entity_name": "main.nowhere.m"}, 404, "main.nowhere"),
    ],
)
def test_references_must_exist(
    admin: TestClient, changed: dict[str, str], status: int, words: str
) -> None:
    body = {"name": "e", "config": {"served_entities": [entity(1, **changed)]}}
    answer = admin.post(BASE, json=body)
    assert answer.status_code == status
    assert words in answer.json()["message"]
    assert admin.get(f"{BASE}/e").status_code == 404


def test_a_version_that_is_not_ready_is_refused(admin: TestClient, workspace: Workspace) -> None:
    versions.create(workspace, kit.MODEL, "admin@local.test", {})
    answer = admin.post(BASE, json={"name": "e", "config": {"served_entities": [entity(3)]}})
    assert answer.status_code == 400
    assert "PENDING_REGISTRATION" in answer.json()["message"]


def test_a_name_can_be_used_once(admin: TestClient) -> None:
    create(admin)
    answer = admin.post(BASE, json={"name": "e", "config": config((1, 100))})
    assert answer.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"


def test_the_creator_needs_the_model(as_: As) -> None:
    refused = as_("reader").post(BASE, json={"name": "e", "config": config((1, 100))})
    assert refused.status_code == 403
    assert "main.scgpt" in refused.json()["message"]


def test_the_creators_grants_are_checked_again_at_each_update(as_: As) -> None:
    admin, builder = as_("admin"), as_("builder")
    create(builder)
    gone = {"changes": [{"principal": kit.BUILDER, "remove": ["EXECUTE"]}]}
    admin.patch("/api/2.1/unity-catalog/permissions/catalog/main", json=gone)
    refused = admin.put(f"{BASE}/e/config", json=config((2, 100)))
    assert refused.status_code == 403
    assert "EXECUTE" in refused.json()["message"]


def test_delete_stops_the_processes(admin: TestClient) -> None:
    create(admin)
    assert admin.delete(f"{BASE}/e").status_code == 200
    assert admin.get(f"{BASE}/e").status_code == 404
    assert admin.delete(f"{BASE}/e").status_code == 404
    create(admin)
    assert query(admin).status_code == 200


def test_tags_gateway_and_notifications_change_without_a_rollout(admin: TestClient) -> None:
    create(admin, tags=[{"key": "a", "value": "1"}, {"key": "b"}])
    sent = {"add_tags": [{"key": "a", "value": "2"}, {"key": "c"}], "delete_tags": ["b"]}
    tags = admin.patch(f"{BASE}/e/tags", json=sent).json()["tags"]
    assert tags == [{"key": "a", "value": "2"}, {"key": "c"}]
    assert admin.put(f"{BASE}/e/ai-gateway", json={}).json() == {}
    mail = {"on_update_success": ["a@b.c"]}
    admin.patch(f"{BASE}/e/notifications", json={"email_notifications": mail})
    found = admin.get(f"{BASE}/e").json()
    assert (found["tags"], found["ai_gateway"]) == (tags, {})
    assert found["email_notifications"] == mail
    assert found["state"]["config_update"] == "NOT_UPDATING"
    admin.patch(f"{BASE}/e/tags", json={"delete_tags": ["a", "c"]})
    assert "tags" not in admin.get(f"{BASE}/e").json()


def test_limits_outside_the_gateway_are_for_other_endpoints(admin: TestClient) -> None:
    create(admin)
    limits = {"rate_limits": [{"calls": 5, "renewal_period": "minute"}]}
    for answer in (
        admin.put(f"{BASE}/e/rate-limits", json=limits),
        admin.post(BASE, json={"name": "f", "config": config((1, 100)), **limits}),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert "ai_gateway.rate_limits" in answer.json()["message"]
    assert "rate_limits" not in admin.get(f"{BASE}/e").json()
    assert admin.get(f"{BASE}/f").status_code == 404


def test_unchanged_entities_keep_their_process(admin: TestClient) -> None:
    create(admin, config=config((1, 100), (2, 0)))
    before = query(admin).json()["predictions"][0]["cwd"]
    admin.put(f"{BASE}/e/config", json=config((1, 100)))
    wait(admin, "e")
    assert query(admin).json()["predictions"][0]["cwd"] == before


def test_a_process_sees_neither_repository_nor_secrets(
    admin: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    create(admin, config={"served_entities": [entity(1, environment_vars={"GENES": "60k"})]})
    seen = query(admin).json()["predictions"][0]
    assert seen["env"]["GENES"] == "60k"
    assert not {name for name in seen["env"] if name.startswith(("DATABRICKS", "MLFLOW"))}
    assert seen["cwd"].startswith(str(workspace.folder))
    roots = (sys.prefix, sys.base_prefix)
    assert [entry for entry in seen["path"] if entry and not entry.startswith(roots)] == []


def test_a_crashed_process_is_started_again_and_queries_wait_for_it(admin: TestClient) -> None:
    create(admin)
    lost = query(admin, {"die": True})
    assert (lost.status_code, lost.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    answered = query(admin)
    assert answered.status_code == 200, answered.text
    assert answered.json()["predictions"][0]["version"] == "1"


def test_a_process_that_keeps_crashing_is_given_up(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_PAUSE_S", 0.01)
    create(admin)
    answers = [query(admin, {"die": True})]
    while answers[-1].status_code == 503 and len(answers) < 40:  # more than 3 while one is dying
        answers.append(query(admin, {"die": True}))
    assert len(answers) > 3
    answer = answers[-1]
    assert answer.status_code == 409
    assert "ended while it was serving" in answer.json()["message"]
    assert admin.get(f"{BASE}/e").json()["state"]["ready"] == "NOT_READY"


def test_state_survives_a_restart_and_the_processes_are_started_again(app: Running) -> None:
    before = create(app.client("admin"))
    app.restart()
    admin = app.client("admin")
    assert query(admin).json()["predictions"][0]["version"] == "1"
    assert admin.get(f"{BASE}/e").json() == before


def test_a_rollout_that_was_interrupted_goes_on_after_a_restart(app: Running) -> None:
    admin = app.client("admin")
    create(admin)
    admin.put("/_local/settings/deployments", json={"polls_in_progress": 3})
    admin.put(f"{BASE}/e/config", json=config((2, 100)))
    app.restart()
    admin = app.client("admin")
    assert admin.get(f"{BASE}/e").json()["state"]["config_update"] == "IN_PROGRESS"
    assert wait(admin, "e")["config"]["served_entities"][0]["name"] == "m-2"


def test_list_openapi_and_metrics(as_: As) -> None:
    admin = as_("admin")
    create(admin)
    assert [e["name"] for e in admin.get(BASE).json()["endpoints"]] == ["e"]
    assert as_("reader").get(BASE).json() == {"endpoints": []}
    query(admin)
    query(admin, {"bad": 1})
    text = admin.get(f"{BASE}/e/metrics").text
    assert 'request_count_total{endpoint_name="e",served_entity_name="m-1"} 2' in text
    assert 'request_4xx_count_total{endpoint_name="e",served_entity_name="m-1"} 1' in text
    described = admin.get(f"{BASE}/e/openapi").json()
    assert described["openapi"] == "3.1.0"
    assert "/invocations" in described["paths"]
