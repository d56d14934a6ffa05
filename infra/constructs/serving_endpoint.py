"""The serving endpoint with its AI Gateway and its permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..bindings import (
    Construct,
    ModelServing,
    ModelServingAiGateway,
    ModelServingAiGatewayInferenceTableConfig,
    ModelServingAiGatewayRateLimits,
    ModelServingAiGatewayUsageTrackingConfig,
    ModelServingConfigA,
    ModelServingConfigServedEntities,
    ModelServingConfigTrafficConfig,
    ModelServingConfigTrafficConfigRoutes,
    ModelServingEmailNotifications,
    ModelServingTags,
    ModelServingTimeouts,
    Permissions,
    PermissionsAccessControl,
    TerraformResourceLifecycle,
)
from ..naming import Names
from ..release import Served
from ..settings import EmailNotifications, Endpoint, Gateway
from ..settings import Permissions as Levels
from ..sizes import WorkloadType


class ServingEndpoint(Construct):
    """The released versions behind one endpoint.

    Parameters
    ----------
    served
        What the release manifest says, sorted by version: the order is a real difference.
    protected
        Whether Terraform must refuse to destroy or replace the endpoint.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        endpoint: Endpoint,
        workload_type: WorkloadType,
        gateway: Gateway,
        permissions: Levels,
        tags: Mapping[str, str],
        served: Sequence[Served],
        protected: bool,
    ) -> None:
        super().__init__(scope, id_)
        limit = f"{endpoint.timeout_minutes}m"
        self.endpoint = ModelServing(
            self,
            "endpoint",
            name=endpoint.name,
            route_optimized=endpoint.route_optimized,
            description=endpoint.description,
            email_notifications=_emails(endpoint.email_notifications),
            budget_policy_id=endpoint.budget_policy_id,
            config=ModelServingConfigA(
                served_entities=[_entity(names, endpoint, workload_type, each) for each in served],
                traffic_config=ModelServingConfigTrafficConfig(
                    routes=[_route(names, each) for each in served]
                ),
            ),
            ai_gateway=_gateway(names, gateway) if gateway.declared else None,
            tags=[ModelServingTags(key=key, value=tags[key]) for key in sorted(tags)],
            timeouts=ModelServingTimeouts(create=limit, update=limit),
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if protected else None,
        )
        self.endpoint.override_logical_id("endpoint")
        entries = _access(permissions)
        if entries:
            levels = Permissions(
                self,
                "endpoint_permissions",
                serving_endpoint_id=self.endpoint.serving_endpoint_id,
                access_control=entries,
            )
            levels.override_logical_id("endpoint_permissions")


def _emails(told: EmailNotifications) -> ModelServingEmailNotifications | None:
    if not told.on_update_failure and not told.on_update_success:
        return None
    return ModelServingEmailNotifications(
        on_update_failure=list(told.on_update_failure) or None,
        on_update_success=list(told.on_update_success) or None,
    )


def _entity(
    names: Names, endpoint: Endpoint, workload_type: WorkloadType, served: Served
) -> ModelServingConfigServedEntities:
    concurrency = endpoint.provisioned_concurrency
    # Always named: without a name, a new version is sent under the name of the old one.
    return ModelServingConfigServedEntities(
        name=served.name or names.served_entity(served.version),
        entity_name=names.full_model,
        entity_version=str(served.version),
        workload_type=workload_type,
        workload_size=endpoint.workload_size,
        min_provisioned_concurrency=concurrency.min if concurrency else None,
        max_provisioned_concurrency=concurrency.max if concurrency else None,
        scale_to_zero_enabled=endpoint.scale_to_zero,
        environment_vars=endpoint.environment or None,
    )


def _route(names: Names, served: Served) -> ModelServingConfigTrafficConfigRoutes:
    # Always explicit: left out, the old 100 % route stays when a second version is added.
    return ModelServingConfigTrafficConfigRoutes(
        served_model_name=served.name or names.served_entity(served.version),
        traffic_percentage=served.traffic,
    )


def _gateway(names: Names, gateway: Gateway) -> ModelServingAiGateway:
    """The gateway's block, which stays when all is off: the provider fails when it is removed.

    What is off is left out, because the provider never sends ``enabled = false``.
    """
    table = gateway.inference_table_prefix
    return ModelServingAiGateway(
        inference_table_config=None
        if table is None
        else ModelServingAiGatewayInferenceTableConfig(
            enabled=True,
            catalog_name=names.catalog,
            schema_name=names.schema,
            table_name_prefix=table,
        ),
        usage_tracking_config=ModelServingAiGatewayUsageTrackingConfig(enabled=True)
        if gateway.usage_tracking
        else None,
        rate_limits=[
            ModelServingAiGatewayRateLimits(
                calls=limit.calls,
                key=limit.key,
                principal=limit.principal,
                renewal_period="minute",
            )
            for limit in gateway.rate_limits
        ]
        or None,
    )


def _access(levels: Levels) -> list[PermissionsAccessControl]:
    return [
        *(
            PermissionsAccessControl(group_name=name, permission_level=level)
            for name, level in sorted(levels.groups.items())
        ),
        *(
            PermissionsAccessControl(user_name=name, permission_level=level)
            for name, level in sorted(levels.users.items())
        ),
        *(
            PermissionsAccessControl(service_principal_name=name, permission_level=level)
            for name, level in sorted(levels.service_principals.items())
        ),
    ]
