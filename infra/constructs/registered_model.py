"""The registered model; builds make its versions, which are served by number, not by alias."""

from __future__ import annotations

from ..bindings import Construct, RegisteredModel, TerraformResource, declare
from ..naming import COMMENTS
from ..settings import Settings
from .access import grant_each


class GovernedModel(Construct):
    """The registered model and who may use it.

    No owner is set: the provider sets one in a second call, and when that is refused, it marks the
    model as broken and deletes it, with all versions, at the next deploy.
    """

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, *, after: TerraformResource
    ) -> None:
        super().__init__(scope, id_)
        names = settings.names
        fields = {
            "catalog_name": names.catalog,
            "schema_name": names.schema,
            "name": names.model,
            "comment": COMMENTS["model"],
        }
        protected = settings.deletion_protection
        model = declare(RegisteredModel, self, "model", fields, protected=protected, after=[after])
        grants = settings.privileges("model")
        grant_each(self, on="model", of=model, full_name=names.full_model, to=grants)
