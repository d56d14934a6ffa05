"""The only module that imports the CDK and the provider's bindings.

Everything else takes what it needs from here, so that a move to another CDK or another generation
of bindings is a change of this file. Where ``cdktf`` is not installed, its maintained fork
``cdktn`` takes its place: the same names in other packages. Only typed structs are passed on to
constructs: the CDK drops the keys of a plain dict in a nested position without a word.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec

from constructs import Construct

CDK = "cdktf" if find_spec("cdktf") else "cdktn"

# The bindings' package imports all its resources, which takes seconds; only some modules of it are
# needed. An empty package of that name lets them be imported alone.
_PACKAGE = "cdktf_cdktf_provider_databricks"
_FOUND = {"cdktf": _PACKAGE, "cdktn": "cdktn_provider_databricks"}[CDK]
if (_spec := find_spec(_FOUND)) is not None:
    sys.modules.setdefault(_PACKAGE, module_from_spec(_spec))
if CDK == "cdktn":
    sys.modules.setdefault("cdktf", import_module("cdktn"))

from cdktf import (
    App,
    AzurermBackend,
    GcsBackend,
    HttpBackend,
    LocalBackend,
    S3Backend,
    TerraformElement,
    TerraformResource,
    TerraformResourceLifecycle,
    TerraformStack,
)
from cdktf_cdktf_provider_databricks.alert_v2 import (
    AlertV2,
    AlertV2Evaluation,
    AlertV2EvaluationNotification,
    AlertV2EvaluationNotificationSubscriptions,
    AlertV2EvaluationSource,
    AlertV2EvaluationThreshold,
    AlertV2EvaluationThresholdValue,
    AlertV2Schedule,
)
from cdktf_cdktf_provider_databricks.dashboard import Dashboard
from cdktf_cdktf_provider_databricks.data_quality_monitor import (
    DataQualityMonitor,
    DataQualityMonitorDataProfilingConfig,
    DataQualityMonitorDataProfilingConfigTimeSeries,
)
from cdktf_cdktf_provider_databricks.grant import Grant
from cdktf_cdktf_provider_databricks.job import (
    Job,
    JobContinuous,
    JobEmailNotifications,
    JobEnvironment,
    JobEnvironmentSpec,
    JobJobCluster,
    JobJobClusterNewCluster,
    JobParameter,
    JobQueue,
    JobRunAs,
    JobSchedule,
    JobTask,
    JobTaskDependsOn,
    JobTaskLibrary,
    JobTaskLibraryPypi,
    JobTaskPipelineTask,
    JobTaskPythonWheelTask,
)
from cdktf_cdktf_provider_databricks.mlflow_experiment import MlflowExperiment
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
    ModelServingEmailNotifications,
    ModelServingTags,
    ModelServingTimeouts,
)
from cdktf_cdktf_provider_databricks.notification_destination import (
    NotificationDestination,
    NotificationDestinationConfigA,
    NotificationDestinationConfigEmail,
)
from cdktf_cdktf_provider_databricks.permissions import Permissions, PermissionsAccessControl
from cdktf_cdktf_provider_databricks.pipeline import (
    Pipeline,
    PipelineCluster,
    PipelineEnvironment,
    PipelineLibrary,
    PipelineLibraryFile,
)
from cdktf_cdktf_provider_databricks.provider import DatabricksProvider
from cdktf_cdktf_provider_databricks.query import Query
from cdktf_cdktf_provider_databricks.registered_model import RegisteredModel
from cdktf_cdktf_provider_databricks.schema import Schema
from cdktf_cdktf_provider_databricks.sql_endpoint import (
    SqlEndpoint,
    SqlEndpointTags,
    SqlEndpointTagsCustomTags,
)
from cdktf_cdktf_provider_databricks.volume import Volume
from cdktf_cdktf_provider_databricks.workspace_file import WorkspaceFile
