"""The outbox: a workspace writes messages to files there instead of sending them.

An e-mail becomes an ``.eml`` file; a call of another service a ``.json`` file that names the
destination. Nothing leaves this machine.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from ..catalog.access import admin
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import Workspace

routes = Routes()

SENDER = "noreply@local.test"

_PREFIX = "/_local/outbox"


def send(workspace: Workspace, addresses: list[str], subject: str, text: str) -> str:
    """Write an e-mail; the file's name."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"] = SENDER, ", ".join(addresses)
    message["Subject"] = " ".join(subject.split())
    message["Date"] = format_datetime(datetime.fromtimestamp(workspace.now_ms() / 1000, UTC))
    message.set_content(text)
    return _write(workspace, "eml", message.as_bytes())


def notify(
    workspace: Workspace, destination: Document, subject: str, text: str, payload: dict[str, Any]
) -> str:
    """Write what a notification destination would get; the file's name.

    Parameters
    ----------
    payload
        The body for other services than e-mail.
    """
    if destination["destination_type"] == "EMAIL":
        return send(workspace, destination["config"]["email"]["addresses"], subject, text)
    call = {
        "destination_id": destination["id"],
        "display_name": destination["display_name"],
        "destination_type": destination["destination_type"],
        "payload": payload,
    }
    return _write(workspace, "json", json.dumps(call, indent=2).encode())


def folder(workspace: Workspace) -> Path:
    return workspace.folder / "outbox"


@routes.add("GET", _PREFIX, rule=admin)
async def list_all(call: Call) -> dict[str, Any]:
    """Return everything that was sent, oldest first."""
    files = sorted(folder(call.workspace).glob("*"))
    return {"messages": [_view(file) for file in files]}


@routes.add("DELETE", _PREFIX, rule=admin)
async def clear(call: Call) -> dict[str, Any]:
    for file in folder(call.workspace).glob("*"):
        file.unlink()
    return {}


def _write(workspace: Workspace, suffix: str, content: bytes) -> str:
    number = workspace.store.next_number("outbox")
    file = folder(workspace) / f"{number:06d}.{suffix}"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return file.name


def _view(file: Path) -> dict[str, Any]:
    if file.suffix == ".json":
        return {"file": file.name, **json.loads(file.read_text())}
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    return {
        "file": file.name,
        "to": str(message["To"]).split(", "),
        "subject": str(message["Subject"]),
        "text": str(message.get_content()),
    }
