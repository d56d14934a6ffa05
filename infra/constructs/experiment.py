"""The MLflow experiment that holds the builds."""

from __future__ import annotations

from infra.bindings import (
    Construct,
    MlflowExperiment,
    Permissions,
    PermissionsAccessControl,
    TerraformResourceLifecycle,
)
from infra.naming import Names


class Experiment(Construct):
    """The experiment, made before the first build and found by it.

    It has no tags: the workspace adds its own, which would be a difference for ever.

    Parameters
    ----------
    builder
        Application id of the service principal that builds: whoever deploys owns the experiment,
        and others cannot log to it.
    """

    def __init__(
        self, scope: Construct, id_: str, *, names: Names, protected: bool, builder: str | None
    ) -> None:
        super().__init__(scope, id_)
        self.experiment = MlflowExperiment(
            self,
            "experiment",
            name=names.experiment,
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if protected else None,
        )
        self.experiment.override_logical_id("experiment")
        if builder is not None:
            levels = Permissions(
                self,
                "experiment_permissions",
                experiment_id=self.experiment.id,
                access_control=[
                    PermissionsAccessControl(
                        service_principal_name=builder, permission_level="CAN_EDIT"
                    )
                ],
            )
            levels.override_logical_id("experiment_permissions")
