"""The endpoint, serving what the release manifest says."""

from __future__ import annotations

from ..bindings import App
from ..constructs.serving_endpoint import ServingEndpoint
from ..release import Manifest
from ..settings import Settings
from .environment import EnvironmentStack


class ServingStack(EnvironmentStack):
    """``<env>-serving``; there is one once something was released."""

    def __init__(self, app: App, settings: Settings, manifest: Manifest) -> None:
        super().__init__(app, "serving", settings)
        ServingEndpoint(
            self,
            "serving_endpoint",
            names=settings.names,
            endpoint=settings.endpoint,
            workload_type=settings.workload_type,
            gateway=settings.gateway,
            permissions=settings.endpoint_levels,
            tags=settings.tags,
            served=manifest.served,
            protected=settings.deletion_protection,
        )
