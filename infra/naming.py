"""The only place where a name is made.

People choose a few words in an environment's TOML file; every longer name is put together here, so
that the stacks, the build and the operators' scripts can never disagree about one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

STACKS = ("registry", "serving", "monitoring")
"""Kinds of stacks, in the order in which they are deployed."""

LONGEST_SERVED_ENTITY = 63
"""Characters that the name of a served entity may have."""

SECURABLE = r"[^./ \x00-\x1f\x7f]{1,255}"
"""A name in Unity Catalog, as its documentation has it; stored in lower case."""
NEW_SECURABLE = r"[a-z][a-z0-9_]{0,62}"
"""A name that is made here: no SQL has to quote it."""

_NOT_IN_A_SERVED_NAME = re.compile(r"[^A-Za-z0-9_-]")
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_]+")


COMMENTS = {
    "schema": "scGPT: model, artifacts and inference tables",
    "volume": "Files that runs of scGPT make",
    "checkpoints_volume": "Checkpoints of scGPT",
    "model": "scGPT: cell and gene embeddings of single-cell counts",
}
"""Kind of securable -> its comment in Unity Catalog."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """Every name of one environment."""

    environment: str
    catalog: str
    schema: str
    model: str
    volume: str
    checkpoints_volume: str = "checkpoints"
    endpoint: str
    inference_table_prefix: str | None

    @property
    def full_schema(self) -> str:
        """``catalog.schema``, which holds everything else."""
        return f"{self.catalog}.{self.schema}"

    @property
    def full_model(self) -> str:
        """Three-level name of the registered model."""
        return f"{self.full_schema}.{self.model}"

    @property
    def full_volume(self) -> str:
        """Three-level name of the volume of artifacts."""
        return f"{self.full_schema}.{self.volume}"

    @property
    def full_checkpoints_volume(self) -> str:
        """Three-level name of the volume that builds read checkpoints from."""
        return f"{self.full_schema}.{self.checkpoints_volume}"

    @property
    def volume_path(self) -> str:
        """Return the folder at which the volume of artifacts is mounted."""
        return f"/Volumes/{self.catalog}/{self.schema}/{self.volume}"

    @property
    def inference_table(self) -> str | None:
        """The table that the AI Gateway makes and fills; None where payloads are not logged."""
        if self.inference_table_prefix is None:
            return None
        return self._beside("payload")

    @property
    def requests_table(self) -> str | None:
        """The table with one row of scalars for each request."""
        return self._beside("requests")

    @property
    def all_payloads(self) -> str | None:
        """The view over the inference table and the legacy one before it."""
        return self._beside("payload_all")

    def _beside(self, kind: str) -> str | None:
        if self.inference_table_prefix is None:
            return None
        return f"{self.full_schema}.{self.inference_table_prefix}_{kind}"

    @property
    def experiment(self) -> str:
        """Path of the MLflow experiment that holds the builds."""
        return f"/Shared/{self.full_model}"

    @property
    def workspace_folder(self) -> str:
        """Folder of alerts and dashboards, in the form in which the workspace gives it back."""
        return "/Workspace/Shared"

    @property
    def warehouse(self) -> str:
        """Name of the SQL warehouse of alerts, dashboard and jobs, where none is given."""
        return f"{self.endpoint}-monitoring"

    def watched(self, title: str) -> str:
        """Name of an alert, a dashboard, a job: no two endpoints of a workspace share one."""
        return f"{self.endpoint}: {title}"

    def wheel_path(self, file_name: str, digest: str) -> str:
        """Return the path of the jobs' wheel in the volume of artifacts, by its sha256."""
        return f"{self.volume_path}/wheels/{digest}/{file_name}"

    @property
    def deploy_record(self) -> str:
        """File in the volume of artifacts that says who deployed last."""
        return f"{self.volume_path}/last_deploy.json"

    @property
    def canary(self) -> str:
        """File in the volume of artifacts that holds what is known of a canary under way."""
        return f"{self.volume_path}/canary.json"

    @property
    def baselines(self) -> str:
        """Folder in the volume of artifacts that holds what drift is measured against."""
        return f"{self.volume_path}/baselines"

    @property
    def history(self) -> str:
        """Folder in the volume of artifacts that holds the ledger of this environment."""
        return f"{self.volume_path}/history"

    def served_entity(self, version: int) -> str:
        """Name of one version behind the endpoint, as in per-version invocation paths."""
        return served_entity(self.model, version)

    def stack(self, kind: str) -> str:
        """Name of a stack; ``kind`` is one of :data:`STACKS`."""
        return f"{self.environment}-{kind}"


def beside(inference_table: str, kind: str) -> str:
    """Full name of a table of ours, for a job that is told of the inference table alone."""
    return f"{inference_table.removesuffix('_payload')}_{kind}"


def served_entity(model: str, version: int) -> str:
    """Name behind an endpoint of one version of a model, which is given by its last name.

    It is `<model>-<version>`, shortened and with _ where an endpoint takes no such character.
    """
    number = f"-{version}"
    readable = _NOT_IN_A_SERVED_NAME.sub("_", model)
    return readable[: LONGEST_SERVED_ENTITY - len(number)] + number


def grant_id(securable: str, principal: str) -> str:
    """Logical id of the grant to one principal on one kind of securable.

    Terraform allows letters, digits and underscores; a principal that has others keeps its readable
    part and gets a digest, so that two principals never share an id.
    """
    readable = _NOT_IN_AN_ID.sub("_", principal)
    if readable != principal:
        readable += "_" + hashlib.sha256(principal.encode()).hexdigest()[:8]
    return f"{securable}_grant_{readable}"


def state_key(prefix: str, stack: str) -> str:
    """Key of a stack's state in a remote backend."""
    return "/".join([part for part in prefix.split("/") if part] + [f"{stack}.tfstate"])
