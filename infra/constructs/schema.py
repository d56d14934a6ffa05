"""The schema, with its volumes."""

from __future__ import annotations

from typing import Literal

from ..bindings import Construct, Schema, Volume, declare
from ..naming import COMMENTS
from ..settings import Settings
from .access import grant_each


class SchemaWithVolumes(Construct):
    """The schema that holds everything of one environment, and its volumes.

    Under deletion protection Terraform refuses to destroy or replace them. An unprotected schema
    is destroyed with what it holds: the platform puts the inference table into it.
    """

    def __init__(self, scope: Construct, id_: str, settings: Settings) -> None:
        super().__init__(scope, id_)
        names, protected = settings.names, settings.deletion_protection
        fields = {
            "catalog_name": names.catalog,
            "name": names.schema,
            "comment": COMMENTS["schema"],
            "force_destroy": not protected,
        }
        self.schema = declare(Schema, self, "schema", fields, protected=protected)
        grants = settings.privileges("schema")
        grant_each(self, on="schema", of=self.schema, full_name=names.full_schema, to=grants)
        volumes: tuple[tuple[Literal["volume", "checkpoints_volume"], str, str], ...] = (
            ("volume", names.volume, names.full_volume),
            ("checkpoints_volume", names.checkpoints_volume, names.full_checkpoints_volume),
        )
        for kind, name, full_name in volumes:
            fields = {
                "catalog_name": names.catalog,
                "schema_name": names.schema,
                "name": name,
                "volume_type": "MANAGED",
                "comment": COMMENTS[kind],
            }
            volume = declare(Volume, self, kind, fields, protected=protected, after=[self.schema])
            grants = settings.privileges(kind)
            grant_each(self, on=kind, of=volume, full_name=full_name, to=grants)
