"""Settings of a deployment. A Serve config file holds them as ``args``, so they are plain JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

TOKEN_VARIABLE = "SCGPT_RAY_TOKEN"  # noqa: S105 - the name of a variable, not a token
"""Environment variable of the replicas that holds the bearer token."""

MIB = 1024 * 1024


class Split(BaseModel):
    """A second version that answers a share of the requests that name no version.

    Parameters
    ----------
    version
        Number or alias.
    weight
        Its share, between 0 and 1: small for a canary, 0.5 for A/B.
    sticky_header
        Requests with the same value of this header go to the same version.
    alpha, margin
        Rules of the verdict, as in ``model.judge.verdict.Rules``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    weight: float = Field(gt=0, lt=1)
    sticky_header: str | None = None
    alpha: float = Field(default=0.05, gt=0, lt=1)
    margin: float = Field(default=1.0, ge=0)


class Settings(BaseModel):
    """Settings of a replica.

    Parameters
    ----------
    max_models
        Versions that a replica keeps loaded.
    max_model_bytes
        Resident memory of their processes, all together; 0: no limit.
    max_body_bytes
        A larger body is refused with 413.
    load_timeout_s, place_timeout_s, registry_timeout_s
        Seconds after which loading, waiting for a place, and asking the registry are given up.
    refresh_s
        Seconds after which an alias is looked up again.
    retry_load_s
        Seconds during which a version that failed to load is not tried again.
    batch_tokens
        Tokens of a batch across requests; 0: no batches. See ``batch_all_models``.
    batch_wait_s
        Seconds that the first request of a batch waits for others.
    batch_all_models
        Also batch versions whose answers do not name the ``input_row``. Only for models that answer
        each row for itself.
    threads
        Threads of a version's process; 0: as many as the machine has processors.
    gpus
        Share of a GPU for each version's process.
    require_token
        Refuse to start without a token in :data:`TOKEN_VARIABLE`.
    split
        A canary, or an A/B test.
    log_table
        Delta table of requests and answers, a folder or a URI.
    tracking_uri, registry_uri
        As ``mlflow.set_tracking_uri`` and ``set_registry_uri``; empty: as MLflow finds them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_models: int = Field(default=2, ge=1)
    max_model_bytes: int = Field(default=0, ge=0)
    max_body_bytes: int = Field(default=16 * MIB, ge=1)
    load_timeout_s: float = Field(default=600, gt=0)
    place_timeout_s: float = Field(default=60, gt=0)
    registry_timeout_s: float = Field(default=10, gt=0)
    refresh_s: float = Field(default=5, gt=0)
    retry_load_s: float = Field(default=10, ge=0)
    batch_tokens: int = Field(default=8192, ge=0)
    batch_wait_s: float = Field(default=0.005, ge=0)
    batch_all_models: bool = False
    threads: int = Field(default=0, ge=0)
    gpus: float = Field(default=0, ge=0)
    require_token: bool = False
    split: Split | None = None
    log_table: str = ""
    tracking_uri: str = ""
    registry_uri: str = ""
