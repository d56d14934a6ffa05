"""The only module that imports the CDK and the provider's bindings.

Everything else takes what it needs from here, so that a move to another CDK or another generation
of bindings is a change of this file. Only typed structs are passed on to constructs: the CDK drops
the keys of a plain dict in a nested position without a word.
"""

from __future__ import annotations

from cdktf import (
    App,
    AzurermBackend,
    GcsBackend,
    LocalBackend,
    S3Backend,
    TerraformElement,
    TerraformResource,
    TerraformResourceLifecycle,
    TerraformStack,
)
from cdktf_cdktf_provider_databricks.grant import Grant
from cdktf_cdktf_provider_databricks.model_serving import (
    ModelServing,
    ModelServingAiGateway,
    ModelServingAiGatewayInferenceTableConfig,
    ModelServingAiGatewayRateLimits,
    ModelServingAiGatewayUsageTrackingConfig,
    ModelServingConfigA,
    ModelServingConfigServedEntities,
    ModelServingConfigTrafficConfig,
    ModelServingConfigTrafficConfigRoutes,
    ModelServingTags,
    ModelServingTimeouts,
)
from cdktf_cdktf_provider_databricks.permissions import Permissions, PermissionsAccessControl
from cdktf_cdktf_provider_databricks.provider import DatabricksProvider
from cdktf_cdktf_provider_databricks.registered_model import RegisteredModel
from cdktf_cdktf_provider_databricks.schema import Schema
from cdktf_cdktf_provider_databricks.volume import Volume
from constructs import Construct

__all__ = [
    "App",
    "AzurermBackend",
    "Construct",
    "DatabricksProvider",
    "GcsBackend",
    "Grant",
    "LocalBackend",
    "ModelServing",
    "ModelServingAiGateway",
    "ModelServingAiGatewayInferenceTableConfig",
    "ModelServingAiGatewayRateLimits",
    "ModelServingAiGatewayUsageTrackingConfig",
    "ModelServingConfigA",
    "ModelServingConfigServedEntities",
    "ModelServingConfigTrafficConfig",
    "ModelServingConfigTrafficConfigRoutes",
    "ModelServingTags",
    "ModelServingTimeouts",
    "Permissions",
    "PermissionsAccessControl",
    "RegisteredModel",
    "S3Backend",
    "Schema",
    "TerraformElement",
    "TerraformResource",
    "TerraformResourceLifecycle",
    "TerraformStack",
    "Volume",
]
