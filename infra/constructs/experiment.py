"""The MLflow experiment that holds the builds."""

from __future__ import annotations

from ..bindings import Construct, MlflowExperiment, TerraformResourceLifecycle
from ..settings import Settings
from .access import access_list


class Experiment(Construct):
    """The experiment, made before the first build and found by it.

    It has no tags: the workspace adds its own, which would be a difference for ever.
    """

    def __init__(self, scope: Construct, id_: str, settings: Settings) -> None:
        super().__init__(scope, id_)
        protected = settings.deletion_protection
        self.experiment = MlflowExperiment(
            self,
            "experiment",
            name=settings.names.experiment,
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if protected else None,
        )
        self.experiment.override_logical_id("experiment")
        levels = settings.object_levels("experiment")
        access_list(self, "experiment_permissions", levels, experiment_id=self.experiment.id)
