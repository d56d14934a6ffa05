"""All resource types, by Terraform's name."""

from __future__ import annotations

from .alerts import AlertV2
from .catalog import CatalogObject, Grant
from .dashboards import Dashboard
from .experiments import MlflowExperiment
from .jobs import Job
from .notifications import NotificationDestination
from .permissions import Permissions
from .resource import Resource
from .serving import ModelServing
from .tables import REGISTERED_MODEL, SCHEMA, VOLUME
from .warehouse import SqlEndpoint

_MODEL_FIELDS = frozenset({"catalog_name", "schema_name", "name", "comment", "storage_location"})
_STAMPS = frozenset({"created_at", "created_by", "metastore_id", "updated_at", "updated_by"})

_TYPES: tuple[Resource, ...] = (
    CatalogObject(
        name="schema",
        table=SCHEMA,
        collection="schemas",
        created=frozenset({"catalog_name", "name", "comment", "properties", "storage_root"}),
        owned=frozenset({"comment", "properties", "owner", "enable_predictive_optimization"}),
        settled_by=frozenset({"owner", "enable_predictive_optimization"}),
        updated=frozenset({"comment", "properties", "enable_predictive_optimization"}),
        checks_metastore=True,
    ),
    CatalogObject(
        name="volume",
        table=VOLUME,
        collection="volumes",
        created=frozenset(VOLUME.attributes) - {"owner"},
        owned=frozenset({"owner"}),
        updated=frozenset({"comment"}),
        renames=True,
    ),
    CatalogObject(
        name="registered_model",
        table=REGISTERED_MODEL,
        collection="models",
        created=_MODEL_FIELDS | {"owner"},
        owned=_MODEL_FIELDS | {"owner"},
        updated=_MODEL_FIELDS | _STAMPS,
        updates=2,
    ),
    Grant(),
    Permissions(),
    ModelServing(),
    MlflowExperiment(),
    SqlEndpoint(),
    NotificationDestination(),
    AlertV2(),
    Dashboard(),
    Job(),
)

RESOURCES: dict[str, Resource] = {f"databricks_{each.name}": each for each in _TYPES}
