"""Bodies of any form: a field of the wrong form is a 4xx that names it, never a 500."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.local_workspace.conftest import TestClient

UNITY = "/api/2.1/unity-catalog"
TRACKING = "/api/2.0/mlflow/unity-catalog"
ODD: list[Any] = ["a", None, True, -1, [], {}, [None], [[]], {"a": 1}]
TASK = {
    "task_key": "t",
    "environment_key": "e",
    "python_wheel_task": {"package_name": "p", "entry_point": "m", "parameters": ["a"]},
    "depends_on": [{"task_key": "u"}],
    "libraries": [{"whl": "/Volumes/a/b/c/x.whl"}],
}
JOB = {
    "name": "j",
    "tasks": [TASK, TASK | {"task_key": "u", "depends_on": []}],
    "environments": [{"environment_key": "e", "spec": {"dependencies": ["x"]}}],
    "schedule": {"quartz_cron_expression": "0 0 * * * ?", "timezone_id": "UTC"},
    "parameters": [{"name": "a", "default": "b"}],
    "run_as": {"user_name": "admin@local.test"},
    "email_notifications": {"on_failure": ["a@b.c"]},
    "max_concurrent_runs": 1,
}
ALERT = {
    "display_name": "a",
    "query_text": "SELECT 1 AS n",
    "warehouse_id": "0123456789abcdef",
    "parent_path": "/Shared",
    "schedule": {"quartz_cron_schedule": "0 0 * * * ?", "timezone_id": "UTC"},
    "evaluation": {
        "source": {"name": "n", "aggregation": "MAX"},
        "comparison_operator": "EQUAL",
        "threshold": {"value": {"double_value": 1}},
        "notification": {"subscriptions": [{"user_email": "a@b.c"}]},
    },
}
ENTRY = {"group_name": "users", "permission_level": "CAN_USE"}
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/2.2/jobs/create": JOB,
    "POST /api/2.0/alerts": ALERT,
    "POST /api/2.0/sql/warehouses": {"name": "w", "max_num_clusters": 1, "auto_stop_mins": 1},
    "PUT /api/2.0/permissions/warehouses/0123456789abcdef": {"access_control_list": [ENTRY]},
    "POST /api/2.0/lakeview/dashboards": {"display_name": "d", "serialized_dashboard": "{}"},
    "POST /api/2.0/notification-destinations": {
        "display_name": "d",
        "config": {"email": {"addresses": ["a@b.c"]}},
    },
    f"PATCH {UNITY}/permissions/schema/main.scgpt": {
        "changes": [{"principal": "users", "add": ["SELECT"], "remove": ["MODIFY"]}]
    },
    f"PATCH {UNITY}/schemas/main.scgpt": {"owner": "users", "properties": {"a": "b"}},
    f"POST {UNITY}/volumes": {"name": "v", "catalog_name": "main", "schema_name": "scgpt"},
    f"POST {TRACKING}/model-versions/create": {
        "name": "main.scgpt.m",
        "tags": [{"key": "a", "value": "b"}],
    },
    f"POST {TRACKING}/registered-models/alias": {
        "name": "main.scgpt.m",
        "alias": "a",
        "version": "1",
    },
    "POST /api/2.0/secrets/acls/put": {"scope": "s", "principal": "users", "permission": "READ"},
}


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in inner:
        yield (*path, key)
        if isinstance(below, (dict, list)):
            yield from _places(below, (*path, key))


def _with(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize("call", BODIES)
def test_no_form_of_a_field_is_a_500(admin: TestClient, model: str, call: str) -> None:
    method, path = call.split()
    for place in _places(BODIES[call]):
        for odd in ODD:
            answer = admin.request(method, path, json=_with(BODIES[call], place, odd))
            assert answer.status_code < 500, (place, odd)
    listed = "/api/2.2/jobs/list" if "jobs" in path else path
    assert admin.get(listed).status_code != 500


def test_the_field_is_named_and_nulls_count_as_left_out(admin: TestClient) -> None:
    path = "/api/2.2/jobs/create"
    for body, message in (
        ({"tasks": "a"}, "tasks must be a list, not 'a'."),
        ({"tasks": [1]}, "tasks must be a list of objects, not '[1]'."),
        ({"name": 1}, "name must be text, not '1'."),
        ({"schedule": []}, "schedule must be an object, not '[]'."),
    ):
        answer = admin.post(path, json=body)
        assert (answer.status_code, answer.json()["message"]) == (400, message)
    assert admin.post(path, json={"name": None, "tasks": None}).status_code == 200
    free = {"tags": {"name": 1, "schedule": "a"}}
    assert admin.post(path, json=free).status_code == 200
