"""The serving endpoint with its AI Gateway and its permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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

_STRUCTS: Mapping[str, Any] = {
    "email_notifications": ModelServingEmailNotifications,
    "config": ModelServingConfigA,
    "served_entities": ModelServingConfigServedEntities,
    "traffic_config": ModelServingConfigTrafficConfig,
    "routes": ModelServingConfigTrafficConfigRoutes,
    "ai_gateway": ModelServingAiGateway,
    "inference_table_config": ModelServingAiGatewayInferenceTableConfig,
    "usage_tracking_config": ModelServingAiGatewayUsageTrackingConfig,
    "rate_limits": ModelServingAiGatewayRateLimits,
    "tags": ModelServingTags,
    "environment_vars": dict,
}
"""The struct of each nested block. A plain dict in its place would lose its keys in silence. A
block without an entry is a KeyError, and a struct refuses a key that it does not know."""


class ServingEndpoint(Construct):
    """The released versions behind one endpoint.

    Parameters
    ----------
    described
        The endpoint as ``endpoint.describe`` gives it.
    access
        Who may use it, as ``endpoint.access_list`` gives it.
    timeout_minutes
        How long a deployment may take.
    protected
        Whether Terraform must refuse to destroy or replace the endpoint.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        described: Mapping[str, Any],
        access: Sequence[Mapping[str, str]],
        timeout_minutes: int,
        protected: bool,
    ) -> None:
        super().__init__(scope, id_)
        limit = f"{timeout_minutes}m"
        self.endpoint = ModelServing(
            self,
            "endpoint",
            **{key: _typed(key, value) for key, value in described.items()},
            timeouts=ModelServingTimeouts(create=limit, update=limit),
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if protected else None,
        )
        self.endpoint.override_logical_id("endpoint")
        if access:
            levels = Permissions(
                self,
                "endpoint_permissions",
                serving_endpoint_id=self.endpoint.serving_endpoint_id,
                access_control=[PermissionsAccessControl(**entry) for entry in access],
            )
            levels.override_logical_id("endpoint_permissions")


def _typed(key: str, value: Any) -> Any:
    """Return a value with the structs that the provider's bindings want in place of blocks."""
    if isinstance(value, list):
        return [_typed(key, each) for each in value]
    if isinstance(value, Mapping):
        return _STRUCTS[key](**{name: _typed(name, each) for name, each in value.items()})
    return value
