"""Access control lists of endpoints, and what they open."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.local_workspace.serving import kit
from tests.unit.local_workspace.serving.conftest import As
from tests.unit.local_workspace.serving.kit import BASE, config, create, query


def _acl(*entries: tuple[str, str, str]) -> dict[str, Any]:
    listed = [{field: name, "permission_level": level} for field, name, level in entries]
    return {"access_control_list": listed}


def test_levels_open_what_they_say(as_: As) -> None:
    admin, reader = as_("admin"), as_("reader")
    acl = f"/api/2.0/permissions/serving-endpoints/{create(admin)['id']}"
    assert [query(reader).status_code, reader.get(f"{BASE}/e").status_code] == [403, 403]
    admin.put(acl, json=_acl(("group_name", "scientists", "CAN_VIEW")))
    assert [query(reader).status_code, reader.get(f"{BASE}/e").status_code] == [403, 200]
    admin.put(acl, json=_acl(("user_name", "reader@local.test", "CAN_QUERY")))
    assert query(reader).status_code == 200
    assert reader.get(f"{BASE}/e").json()["permission_level"] == "CAN_QUERY"
    assert reader.put(f"{BASE}/e/config", json=config((2, 100))).status_code == 403
    assert reader.put(acl, json=_acl()).status_code == 403
    admin.patch(acl, json=_acl(("user_name", "reader@local.test", "CAN_MANAGE")))
    assert reader.delete(f"{BASE}/e").status_code == 200
    assert admin.get(acl).status_code == 404


def test_the_answer_lists_direct_and_inherited_entries(as_: As) -> None:
    builder = as_("builder")
    endpoint_id = create(builder)["id"]
    acl = f"/api/2.0/permissions/serving-endpoints/{endpoint_id}"
    found = builder.get(acl).json()
    assert found["object_type"] == "serving-endpoint"
    assert found["object_id"] == f"/serving-endpoints/{endpoint_id}"
    own, admins = found["access_control_list"]
    assert own["service_principal_name"] == kit.BUILDER
    assert own["all_permissions"] == [{"permission_level": "CAN_MANAGE", "inherited": False}]
    assert admins["all_permissions"] == [{"permission_level": "CAN_MANAGE", "inherited": True}]
    levels = builder.get(f"{acl}/permissionLevels").json()["permission_levels"]
    assert [level["permission_level"] for level in levels] == [
        "CAN_VIEW",
        "CAN_QUERY",
        "CAN_MANAGE",
    ]


def test_put_replaces_and_patch_adds(as_: As) -> None:
    admin = as_("admin")
    acl = f"/api/2.0/permissions/serving-endpoints/{create(admin)['id']}"
    admin.put(acl, json=_acl(("group_name", "users", "CAN_VIEW")))
    admin.patch(acl, json=_acl(("group_name", "scientists", "CAN_QUERY")))
    listed = admin.get(acl).json()["access_control_list"]
    assert [entry["group_name"] for entry in listed] == ["users", "scientists", "admins"]


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (("group_name", "nobody", "CAN_QUERY"), 404),
        (("user_name", "scientists", "CAN_QUERY"), 400),
        (("user_name", "reader@local.test", "CAN_DANCE"), 400),
    ],
)
def test_bad_entries_change_nothing(as_: As, entry: tuple[str, str, str], status: int) -> None:
    admin = as_("admin")
    acl = f"/api/2.0/permissions/serving-endpoints/{create(admin)['id']}"
    before = admin.get(acl).json()
    assert admin.put(acl, json=_acl(entry)).status_code == status
    assert admin.get(acl).json() == before
