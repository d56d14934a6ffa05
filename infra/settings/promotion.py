"""The settings of how versions come into an environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from .fields import Closed, EnvironmentName, Identity, NonEmpty, unique


class Promotion(Closed):
    """The place that versions come from, and the rules for them."""

    source: EnvironmentName | None = None
    """The environment whose versions come here; left out, versions are built here."""
    approval: bool | None = None
    """A person must approve each version; left out, in production only."""
    slowdown: Annotated[float, Field(ge=1, le=10)] = 1.25
    """Most that a version may take for a token, over the champion's time."""
    licences: Annotated[tuple[NonEmpty, ...], AfterValidator(unique)] = ()
    """Licences that may be served; left out, any that a version names."""
    deployment_job: Identity | None = None
    """Application id of the service principal that runs the deployment job, which each new version
    of the model starts; left out, there is no such job."""
