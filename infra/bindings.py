"""The only module that imports the CDK and the provider's bindings.

Everything else takes what it needs from here, so that a move to another CDK or another generation
of bindings is a change of this file. Where ``cdktf`` is not installed, its maintained fork
``cdktn`` takes its place: the same names in other packages. Resources are made by :func:`declare`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any, Dict, TypeVar, get_args, get_type_hints  # noqa: UP035 - as bindings have it

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
    TerraformStack,
)
from cdktf_cdktf_provider_databricks.alert_v2 import AlertV2
from cdktf_cdktf_provider_databricks.dashboard import Dashboard
from cdktf_cdktf_provider_databricks.data_quality_monitor import DataQualityMonitor
from cdktf_cdktf_provider_databricks.grant import Grant
from cdktf_cdktf_provider_databricks.job import Job
from cdktf_cdktf_provider_databricks.mlflow_experiment import MlflowExperiment
from cdktf_cdktf_provider_databricks.model_serving import ModelServing
from cdktf_cdktf_provider_databricks.notification_destination import NotificationDestination
from cdktf_cdktf_provider_databricks.permissions import Permissions
from cdktf_cdktf_provider_databricks.pipeline import Pipeline
from cdktf_cdktf_provider_databricks.provider import DatabricksProvider
from cdktf_cdktf_provider_databricks.query import Query
from cdktf_cdktf_provider_databricks.registered_model import RegisteredModel
from cdktf_cdktf_provider_databricks.schema import Schema
from cdktf_cdktf_provider_databricks.sql_endpoint import SqlEndpoint
from cdktf_cdktf_provider_databricks.volume import Volume
from cdktf_cdktf_provider_databricks.workspace_file import WorkspaceFile

R = TypeVar("R", bound=TerraformResource)


def declare(
    kind: type[R],
    scope: Construct,
    logical_id: str,
    fields: Mapping[str, Any],
    *,
    protected: bool = False,
    after: Sequence[TerraformResource] = (),
) -> R:
    """Make a resource of plain values, under exactly this logical id.

    Parameters
    ----------
    fields
        Arguments of the provider; a nested block is a dict, several of one kind are a list of them.
    protected
        Terraform refuses to destroy or replace it.
    after
        Resources that must be there first, where no field refers to them.

    Raises
    ------
    TypeError
        A block has no field of that name.
    """
    found = typed(kind, fields)
    if protected:
        found["lifecycle"] = {"prevent_destroy": True}
    made = kind(scope, logical_id, depends_on=[*after] or None, **found)
    made.override_logical_id(logical_id)
    return made


def typed(kind: type, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with the structs that a binding's signature names in place of nested dicts.

    The CDK drops the keys of a plain dict in a list without a word.
    """
    hints = get_type_hints(kind.__init__)  # type: ignore[misc]
    return {name: _value(_struct(hints.get(name)), value) for name, value in fields.items()}


def _value(struct: Any, value: Any) -> Any:
    if struct is None or value is None:
        return value
    if isinstance(value, list):
        return [_value(struct, each) for each in value]
    return struct(**typed(struct, value))


def _struct(hint: Any) -> Any:
    """Return the struct in a type hint, which stands there beside a plain dict."""
    parts = get_args(hint)
    if Dict[str, Any] in parts:  # noqa: UP006 - the builtin is not equal to it
        return parts[0]
    return next((found for part in parts if (found := _struct(part))), None)
