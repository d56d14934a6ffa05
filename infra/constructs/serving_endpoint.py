"""The serving endpoint with its AI Gateway and its permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..bindings import Construct, ModelServing, declare
from .access import access_list


class ServingEndpoint(Construct):
    """The released versions behind one endpoint.

    Parameters
    ----------
    described
        The endpoint as ``endpoint.describe`` gives it.
    access
        Who may use it, as ``endpoint.access_list`` gives it.
    timeout_minutes
        How long a deployment may take.
    protected
        Whether Terraform must refuse to destroy or replace the endpoint.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        described: Mapping[str, Any],
        access: Sequence[Mapping[str, str]],
        timeout_minutes: int,
        protected: bool,
    ) -> None:
        super().__init__(scope, id_)
        limit = f"{timeout_minutes}m"
        fields = {**described, "timeouts": {"create": limit, "update": limit}}
        self.endpoint = declare(ModelServing, self, "endpoint", fields, protected=protected)
        number = self.endpoint.serving_endpoint_id
        access_list(self, "endpoint_permissions", access, serving_endpoint_id=number)
