"""What must exist before any version does: schema, volume, registered model, grants."""

from __future__ import annotations

from infra.bindings import App
from infra.constructs.registered_model import GovernedModel
from infra.constructs.schema import SchemaWithVolume
from infra.settings import Settings

from .environment import EnvironmentStack


class RegistryStack(EnvironmentStack):
    """``<env>-registry``."""

    def __init__(self, app: App, settings: Settings) -> None:
        super().__init__(app, "registry", settings)
        schema = SchemaWithVolume(
            self,
            "schema_with_volume",
            names=settings.names,
            protected=settings.deletion_protection,
            schema_grants={grant.principal: grant.schema_ for grant in settings.grants},
            volume_grants={grant.principal: grant.volume for grant in settings.grants},
        )
        GovernedModel(
            self,
            "governed_model",
            names=settings.names,
            protected=settings.deletion_protection,
            grants={grant.principal: grant.model for grant in settings.grants},
            after=schema.schema,
        )
