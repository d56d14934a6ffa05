"""The endpoint, serving what the release manifest says, and what embeds a table of cells."""

from __future__ import annotations

from ..bindings import App
from ..constructs.embedding_job import EmbeddingJob
from ..constructs.embedding_pipeline import EmbeddingPipeline
from ..constructs.serving_endpoint import ServingEndpoint
from ..endpoint import access_list, describe
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
            described=describe(settings, manifest),
            access=access_list(settings),
            timeout_minutes=settings.endpoint.timeout_minutes,
            protected=settings.deletion_protection,
        )
        if settings.batch.cells is not None:
            kind = EmbeddingPipeline if settings.batch.pipeline else EmbeddingJob
            kind(self, "embedding_job", settings, version=manifest.champion.version)
