"""The schema, with its volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from ..bindings import Construct, Schema, TerraformResourceLifecycle, Volume
from ..naming import COMMENTS, Names
from .grants import grant_each

Privileges = Callable[
    [Literal["schema", "volume", "checkpoints_volume"]], Mapping[str, tuple[str, ...]]
]


class SchemaWithVolumes(Construct):
    """The schema that holds everything of one environment, and its volumes.

    Parameters
    ----------
    protected
        Whether Terraform must refuse to destroy or replace them. An unprotected schema is
        destroyed with what it holds: the platform puts the inference table into it.
    privileges
        Kind of securable -> principal -> privileges.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        protected: bool,
        privileges: Privileges,
    ) -> None:
        super().__init__(scope, id_)
        self._names, self._privileges = names, privileges
        lifecycle = TerraformResourceLifecycle(prevent_destroy=True) if protected else None
        self.schema = Schema(
            self,
            "schema",
            catalog_name=names.catalog,
            name=names.schema,
            comment=COMMENTS["schema"],
            force_destroy=not protected,
            lifecycle=lifecycle,
        )
        self.schema.override_logical_id("schema")
        grant_each(
            self,
            on="schema",
            of=self.schema,
            full_name=names.full_schema,
            to=privileges("schema"),
        )
        self._volume("volume", names.volume, names.full_volume, lifecycle)
        self._volume(
            "checkpoints_volume",
            names.checkpoints_volume,
            names.full_checkpoints_volume,
            lifecycle,
        )

    def _volume(
        self,
        kind: Literal["volume", "checkpoints_volume"],
        name: str,
        full_name: str,
        lifecycle: TerraformResourceLifecycle | None,
    ) -> None:
        volume = Volume(
            self,
            kind,
            catalog_name=self._names.catalog,
            schema_name=self._names.schema,
            name=name,
            volume_type="MANAGED",
            comment=COMMENTS[kind],
            lifecycle=lifecycle,
            depends_on=[self.schema],
        )
        volume.override_logical_id(kind)
        grant_each(self, on=kind, of=volume, full_name=full_name, to=self._privileges(kind))
