"""The MLflow experiment of the builds."""

from __future__ import annotations

from ..bindings import Construct, MlflowExperiment, declare
from ..settings import Settings
from .access import access_list, entries


class Experiment(Construct):
    """The experiment, made before the first build and found by it.

    It has no tags: the workspace adds its own, which would be a difference for ever.
    """

    def __init__(self, scope: Construct, id_: str, settings: Settings) -> None:
        super().__init__(scope, id_)
        self.experiment = declare(
            MlflowExperiment,
            self,
            "experiment",
            {"name": settings.names.experiment},
            protected=settings.deletion_protection,
        )
        levels = entries(settings.object_levels("experiment"))
        access_list(self, "experiment_permissions", levels, experiment_id=self.experiment.id)
