"""The MLflow experiment that holds the builds."""

from __future__ import annotations

from collections.abc import Mapping

from ..bindings import Construct, MlflowExperiment, TerraformResourceLifecycle
from ..naming import Names
from .access_list import access_list


class Experiment(Construct):
    """The experiment, made before the first build and found by it.

    It has no tags: the workspace adds its own, which would be a difference for ever.

    Parameters
    ----------
    levels
        E-mail address or application id -> level, beside the owner's.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        protected: bool,
        levels: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        self.experiment = MlflowExperiment(
            self,
            "experiment",
            name=names.experiment,
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if protected else None,
        )
        self.experiment.override_logical_id("experiment")
        access_list(self, "experiment_permissions", levels, experiment_id=self.experiment.id)
