"""The objects that a version needs: schema, volumes, model, experiment, grants, its job."""

from __future__ import annotations

from ..bindings import App
from ..constructs.deployment_job import DeploymentJob
from ..constructs.experiment import Experiment
from ..constructs.registered_model import GovernedModel
from ..constructs.schema import SchemaWithVolumes
from ..settings import Settings
from .environment import EnvironmentStack


class RegistryStack(EnvironmentStack):
    """``<env>-registry``."""

    def __init__(self, app: App, settings: Settings) -> None:
        super().__init__(app, "registry", settings)
        schema = SchemaWithVolumes(self, "schema_with_volume", settings)
        GovernedModel(self, "governed_model", settings, after=schema.schema)
        if settings.manage_experiment:
            Experiment(self, "experiment_of_builds", settings)
        if (judge := settings.promotion.deployment_job) is not None:
            DeploymentJob(self, "deployment_job", settings, runs_as=judge)
