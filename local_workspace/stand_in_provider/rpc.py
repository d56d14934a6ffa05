"""The provider's side of Terraform's plugin protocol 6."""

# ruff: noqa: N802  the protocol names the methods

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as pb_grpc

from . import schema
from .alerts import AlertV2
from .catalog import CATALOG_OBJECTS, Grant
from .dashboards import Dashboard
from .experiments import MlflowExperiment
from .jobs import Job
from .mapping import applied
from .notifications import NotificationDestination
from .permissions import Permissions
from .plan import Path
from .queries import Query
from .resource import Resource, UndoneError
from .rest import Client, ProviderError, Session, login
from .serving import ModelServing
from .values import Values, conform, decode, encode, known
from .warehouse import SqlEndpoint

Context = grpc.ServicerContext

PROVIDER = schema.table("""
    host profile config_file auth_type: string optional
    token: string optional sensitive
    http_timeout_seconds retry_timeout_seconds: number optional
""")

_TYPES: tuple[Resource, ...] = (
    *CATALOG_OBJECTS,
    Grant(),
    Permissions(),
    ModelServing(),
    MlflowExperiment(),
    SqlEndpoint(),
    NotificationDestination(),
    AlertV2(),
    Query(),
    Dashboard(),
    Job(),
)

RESOURCES: dict[str, Resource] = {f"databricks_{each.name}": each for each in _TYPES}


def _error(summary: str) -> pb.Diagnostic:
    return pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=summary)


def _dynamic(value: Any) -> pb.DynamicValue:
    return pb.DynamicValue(msgpack=encode(value))


def _reported(response: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Turn an error into a diagnostic; raised, it would read "plugin did not respond"."""

    def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Provider, request: Any, context: Context) -> Any:
            try:
                return method(self, request, context)
            except ProviderError as error:
                return response(diagnostics=[_error(str(error))])
            except Exception as error:  # noqa: BLE001  the last frame before Terraform
                text = f"the stand-in provider failed in {method.__name__}: {error!r}"
                return response(diagnostics=[_error(text)])

        return call

    return wrap


def _attribute_path(path: Path) -> pb.AttributePath:
    step = pb.AttributePath.Step
    return pb.AttributePath(
        steps=[
            step(attribute_name=part) if isinstance(part, str) else step(element_key_int=part)
            for part in path
        ]
    )


class Provider(pb_grpc.ProviderServicer):
    """One provider process. Terraform calls several methods at a time.

    Parameters
    ----------
    stop
        Set when Terraform is interrupted; whoever waits, gives up.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._client: Client | None = None

    @_reported(pb.GetMetadata.Response)
    def GetMetadata(self, request: Any, context: Context) -> Any:
        named = pb.GetMetadata.ResourceMetadata
        return pb.GetMetadata.Response(resources=[named(type_name=name) for name in RESOURCES])

    @_reported(pb.GetProviderSchema.Response)
    def GetProviderSchema(self, request: Any, context: Context) -> Any:
        return pb.GetProviderSchema.Response(
            provider=schema.to_protobuf(PROVIDER),
            resource_schemas={
                name: schema.to_protobuf(resource.table, resource.version)
                for name, resource in RESOURCES.items()
            },
        )

    @_reported(pb.ValidateProviderConfig.Response)
    def ValidateProviderConfig(self, request: Any, context: Context) -> Any:
        return pb.ValidateProviderConfig.Response()

    @_reported(pb.ValidateResourceConfig.Response)
    def ValidateResourceConfig(self, request: Any, context: Context) -> Any:
        RESOURCES[request.type_name].validate(decode(request.config.msgpack))
        return pb.ValidateResourceConfig.Response()

    @_reported(pb.UpgradeResourceState.Response)
    def UpgradeResourceState(self, request: Any, context: Context) -> Any:
        table = RESOURCES[request.type_name].table
        state = conform(table, json.loads(request.raw_state.json))
        return pb.UpgradeResourceState.Response(upgraded_state=_dynamic(state))

    @_reported(pb.ConfigureProvider.Response)
    def ConfigureProvider(self, request: Any, context: Context) -> Any:
        config = known(decode(request.config.msgpack)) or {}
        self._client = Client(login(config), self._stop, request.terraform_version)
        return pb.ConfigureProvider.Response()

    @_reported(pb.ReadResource.Response)
    def ReadResource(self, request: Any, context: Context) -> Any:
        resource, state = RESOURCES[request.type_name], decode(request.current_state.msgpack)
        with _doing("read", resource):
            after = resource.read(self._session(resource, "read", state), state)
        return pb.ReadResource.Response(new_state=_dynamic(after), private=request.private)

    @_reported(pb.PlanResourceChange.Response)
    def PlanResourceChange(self, request: Any, context: Context) -> Any:
        resource = RESOURCES[request.type_name]
        if decode(request.proposed_new_state.msgpack) is None:
            return pb.PlanResourceChange.Response(planned_state=_dynamic(None))
        plan = resource.plan(decode(request.config.msgpack), decode(request.prior_state.msgpack))
        return pb.PlanResourceChange.Response(
            planned_state=_dynamic(plan.planned),
            requires_replace=[_attribute_path(path) for path in plan.replace],
            planned_private=request.prior_private,
            legacy_type_system=resource.legacy,
        )

    @_reported(pb.ApplyResourceChange.Response)
    def ApplyResourceChange(self, request: Any, context: Context) -> Any:
        resource = RESOURCES[request.type_name]
        prior, planned = (
            decode(request.prior_state.msgpack),
            decode(request.planned_state.msgpack),
        )
        state, problem = self._apply(resource, prior, planned)
        return pb.ApplyResourceChange.Response(
            new_state=_dynamic(state),
            private=request.planned_private,
            diagnostics=[_error(problem)] if problem else [],
            legacy_type_system=resource.legacy,
        )

    @_reported(pb.ImportResourceState.Response)
    def ImportResourceState(self, request: Any, context: Context) -> Any:
        resource = RESOURCES[request.type_name]
        state = resource.imported(request.id)
        with _doing("import", resource):
            after = resource.read(self._session(resource, "read", state), state, fresh=True)
        if after is None:
            raise ProviderError(f"cannot import {_noun(resource)}: {request.id!r} does not exist")
        imported = pb.ImportResourceState.ImportedResource(
            type_name=request.type_name, state=_dynamic(after)
        )
        return pb.ImportResourceState.Response(imported_resources=[imported])

    def GetFunctions(self, request: Any, context: Context) -> Any:
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Any, context: Context) -> Any:
        self._stop.set()
        return pb.StopProvider.Response()

    def _session(self, resource: Resource, operation: str, values: Values) -> Session:
        if self._client is None:
            raise ProviderError("the provider was not configured before it was used")
        return Session(self._client, resource.name, resource.limit_s(operation, values))

    def _apply(
        self, resource: Resource, prior: Values | None, planned: Values | None
    ) -> tuple[Values | None, str | None]:
        """Return the new state, and what went wrong."""
        operation = "create" if prior is None else "delete" if planned is None else "update"
        state = prior
        try:
            session = self._session(resource, operation, planned or prior or {})
            if planned is None:
                resource.delete(session, prior or {})
                return None, None
            if prior is None:
                state = {**known_state(resource, planned), "id": resource.create(session, planned)}
                resource.settle(session, {**planned, "id": state["id"]})
            else:
                if resource.legacy:
                    # As with the real provider, the state of a failed update is the planned one.
                    state = known_state(resource, planned)
                state = resource.update(session, prior, planned)
            after = resource.read(session, state, fresh=prior is None)
        except UndoneError as error:
            return None, f"cannot {operation} {_noun(resource)}: {error}"
        except ProviderError as error:
            return state, f"cannot {operation} {_noun(resource)}: {error}"
        if after is None:
            return state, f"cannot {operation} {_noun(resource)}: it was gone when read back"
        return applied(resource.table, planned, after), None


def known_state(resource: Resource, planned: Values) -> Values:
    """Return the planned values as a state: null, or no block, for what is unknown."""
    return conform(resource.table, known(planned))


def _noun(resource: Resource) -> str:
    return resource.name.replace("_", " ")


@contextmanager
def _doing(operation: str, resource: Resource) -> Iterator[None]:
    """Say in an error what was being done, and with what."""
    try:
        yield
    except ProviderError as error:
        raise ProviderError(f"cannot {operation} {_noun(resource)}: {error}") from error
