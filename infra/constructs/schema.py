"""The schema, with the volume for files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.bindings import Construct, Schema, TerraformResourceLifecycle, Volume
from infra.naming import Names

from .grants import grant_each


class SchemaWithVolume(Construct):
    """The schema that holds everything of one environment, and its volume.

    Parameters
    ----------
    protected
        Whether Terraform must refuse to destroy or replace them. An unprotected schema is
        destroyed with what it holds: the platform puts the inference table into it.
    schema_grants, volume_grants
        Privileges by principal.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        protected: bool,
        schema_grants: Mapping[str, Sequence[str]],
        volume_grants: Mapping[str, Sequence[str]],
    ) -> None:
        super().__init__(scope, id_)
        lifecycle = TerraformResourceLifecycle(prevent_destroy=True) if protected else None
        self.schema = Schema(
            self,
            "schema",
            catalog_name=names.catalog,
            name=names.schema,
            comment="scGPT: model, artifacts and inference tables",
            force_destroy=not protected,
            lifecycle=lifecycle,
        )
        self.schema.override_logical_id("schema")
        self.volume = Volume(
            self,
            "volume",
            catalog_name=names.catalog,
            schema_name=names.schema,
            name=names.volume,
            volume_type="MANAGED",
            comment="Checkpoints and files of scGPT",
            lifecycle=lifecycle,
            depends_on=[self.schema],
        )
        self.volume.override_logical_id("volume")
        grant_each(self, on="schema", of=self.schema, full_name=names.full_schema, to=schema_grants)
        grant_each(self, on="volume", of=self.volume, full_name=names.full_volume, to=volume_grants)
