"""Rolling out a config: the state machine of a serving endpoint.

``IN_PROGRESS`` while the new entities start; then either the new config serves (``NOT_UPDATING``)
or the old one goes on serving (``UPDATE_FAILED``). The old entities answer all the time. What is
under way is in the store, so a restarted instance takes it up again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ..core.store import Document
from ..core.workspace import Workspace
from ..objects import documents
from ..objects.documents import ENDPOINT
from . import endpoints, system_tables
from .endpoints import FAILED, IN_PROGRESS, NOT_UPDATING, READY, UPDATE_FAILED
from .scoring import Fleet


@dataclass
class _Rollout:
    """One update under way, and how often somebody has looked at it."""

    task: asyncio.Task[None] | None = None
    polls: int = 0
    polled: asyncio.Event = field(default_factory=asyncio.Event)


class Deployments:
    """The rollouts of an instance and the processes behind its endpoints."""

    def __init__(self, workspace: Workspace) -> None:
        self.fleet = Fleet(workspace)
        self._workspace = workspace
        self._rollouts: dict[str, _Rollout] = {}

    def resume(self) -> None:
        """After a start of the instance: serve again what served, go on with what was under way."""
        for name, document in self._workspace.store.items(ENDPOINT.name):
            for entity in (document["config"] or {}).get("entities", []):
                self.fleet.ensure(entity, proven=True)
            if document["update"] == IN_PROGRESS:
                self._follow(name)

    def begin(self, document: Document, pending: Document) -> None:
        """Start to roll out a config; the caller has checked that no other one is under way."""
        changes = {
            "pending": pending,
            "update": IN_PROGRESS,
            "last_config_version": pending["config_version"],
            "last_updated_timestamp": self._workspace.now_ms(),
        }
        endpoints.put(self._workspace, document | changes)
        system_tables.record(self._workspace, document, pending)
        self._follow(document["name"])

    def polled(self, name: str) -> None:
        """Somebody asked for the endpoint's state."""
        rollout = self._rollouts.get(name)
        if rollout is not None:
            rollout.polls += 1
            rollout.polled.set()

    async def drop(self, document: Document) -> None:
        """Cancel what is under way and stop the endpoint's processes."""
        await self._cancel(document["name"])
        self.fleet.retire(_ids(document["config"]) | _ids(document["pending"]))
        system_tables.record_deletion(self._workspace, document)

    async def close(self) -> None:
        for name in list(self._rollouts):
            await self._cancel(name)
        await self.fleet.stop()

    async def _cancel(self, name: str) -> None:
        rollout = self._rollouts.pop(name, None)
        if rollout is not None and rollout.task is not None:
            rollout.task.cancel()
            await asyncio.gather(rollout.task, return_exceptions=True)

    def _follow(self, name: str) -> None:
        rollout = self._rollouts[name] = _Rollout()
        rollout.task = asyncio.create_task(self._roll_out(name, rollout), name=f"rollout-{name}")

    async def _roll_out(self, name: str, rollout: _Rollout) -> None:
        pending = documents.get(self._workspace, ENDPOINT, name)["pending"]
        states = await asyncio.gather(*(self._deploy(entity) for entity in pending["entities"]))
        await self._hold(rollout)
        document = documents.get(self._workspace, ENDPOINT, name)
        entities = [
            {**entity, "state": state}
            for entity, state in zip(pending["entities"], states, strict=True)
        ]
        pending, live = {**pending, "entities": entities}, document["config"]
        failed = any(state["deployment"] == FAILED for state in states)
        if failed:
            document |= {"pending": pending, "update": UPDATE_FAILED}
        else:
            document |= {"config": pending, "pending": None, "update": NOT_UPDATING}
        document["last_updated_timestamp"] = self._workspace.now_ms()
        endpoints.put(self._workspace, document)
        self._rollouts.pop(name, None)
        self.fleet.retire(_ids(pending) - _ids(live) if failed else _ids(live) - _ids(pending))

    async def _deploy(self, entity: Document) -> Document:
        """Bring one entity up; its state afterwards."""
        spec, control = entity["spec"], self._control()
        serves_already = entity["state"]["deployment"] == READY
        told = {str(item) for item in control.get("fail", [])}
        if not serves_already and told & {spec["name"], spec["entity_version"]}:
            return _state(FAILED, f"{spec['name']}: a control route asked for this failure")
        scorer = self.fleet.ensure(entity, proven=serves_already)
        if await scorer.settled():
            return _state(READY, "")
        return _state(FAILED, scorer.failure or "")

    async def _hold(self, rollout: _Rollout) -> None:
        """Stay in progress as long as the control document asks for."""
        control = self._control()
        await asyncio.sleep(float(control.get("seconds", 0)))
        while rollout.polls < int(control.get("polls_in_progress", 0)):
            rollout.polled.clear()
            await rollout.polled.wait()

    def _control(self) -> Document:
        return self._workspace.store.get("control", "deployments") or {}


def of(workspace: Workspace) -> Deployments:
    """Return the running instance's deployments."""
    deployments: Deployments = workspace.runtime["serving"]
    return deployments


def _ids(config: Document | None) -> set[str]:
    return {entity["id"] for entity in (config or {}).get("entities", [])}


def _state(deployment: str, message: str) -> Document:
    return {"deployment": deployment, "deployment_state_message": message}
