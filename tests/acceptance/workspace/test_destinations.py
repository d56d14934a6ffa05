"""Notification destinations through the unmodified SDK."""

from __future__ import annotations

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.settings import (
    Config,
    DestinationType,
    EmailConfig,
    GenericWebhookConfig,
)

from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.workspace.clients import call, sdk

pytestmark = pytest.mark.acceptance


def test_a_mail_destination_from_creation_to_deletion(running: Info) -> None:
    api = sdk(running).notification_destinations
    made = api.create(display_name="team", config=Config(email=EmailConfig(["a@b.org"])))
    assert made.id is not None
    assert made.destination_type == DestinationType.EMAIL
    assert api.get(made.id) == made
    (listed,) = [entry for entry in api.list() if entry.id == made.id]
    assert (listed.display_name, listed.destination_type) == ("team", DestinationType.EMAIL)
    api.update(made.id, config=Config(email=EmailConfig(["c@d.org", "e@f.org"])))
    changed = api.get(made.id)
    assert changed.config == Config(email=EmailConfig(["c@d.org", "e@f.org"]))
    assert changed.display_name == "team"
    api.delete(made.id)
    with pytest.raises(NotFound):
        api.get(made.id)


def test_secrets_of_a_webhook_are_never_seen_again(running: Info) -> None:
    api = sdk(running).notification_destinations
    secrets = {"url": 'https://hooks.test/T0"x', "password": "pass-4711"}
    made = api.create(display_name="hook", config=Config(generic_webhook=_webhook(secrets)))
    assert made.id is not None
    assert made.destination_type == DestinationType.WEBHOOK
    known = Config(generic_webhook=GenericWebhookConfig(url_set=True, password_set=True))
    assert api.get(made.id).config == known
    flags = GenericWebhookConfig(url_set=True, password_set=True, username="u")
    api.update(made.id, display_name="hook 2", config=Config(generic_webhook=flags))
    more = GenericWebhookConfig(url_set=True, password_set=True, username_set=True)
    assert api.get(made.id).config == Config(generic_webhook=more)
    recorded = call(running, "GET", "/_local/requests", params={"path": "notification-dest"})
    assert "***" in recorded.text
    for file in running.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"hooks.test" not in content, file
            assert b"pass-4711" not in content, file


def test_destinations_are_for_admins(running: Info) -> None:
    api = sdk(running, "local-reader").notification_destinations
    with pytest.raises(PermissionDenied):
        api.create(display_name="mine", config=Config(email=EmailConfig(["a@b.org"])))


def test_what_a_destination_cannot_be(running: Info) -> None:
    api = sdk(running).notification_destinations
    with pytest.raises(BadRequest, match="exactly one of email"):
        api.create(display_name="none", config=Config())
    with pytest.raises(BadRequest, match="'nobody'"):
        api.create(display_name="n", config=Config(email=EmailConfig(["nobody"])))


def _webhook(secrets: dict[str, str]) -> GenericWebhookConfig:
    return GenericWebhookConfig(url=secrets["url"], password=secrets["password"])
