"""The serving endpoint, its AI Gateway, and who may use it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .. import torches
from ..plain_secrets import secret_variable, shown
from ..sizes import Size, WorkloadType
from .fields import (
    Closed,
    Email,
    Emails,
    EndpointName,
    NonEmpty,
    Principal,
    TablePrefix,
    matching,
    unique,
)

Level = Literal["CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"]

VariableName = Annotated[
    str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and _, not a digit first")
]

GPU_VARIABLE = "SCGPT_EXPECTS_GPU"
"""Variable of a served entity. Where it is ``true``, the process refuses to start without a GPU."""

SHORTEST_TIMEOUT_MINUTES = 91
"""Outside the local workspace: an image may take an hour and the first replica half of one, and at
the first deployment the provider deletes an endpoint that is late."""


MOST_CONCURRENCY = 100_000
"""Far above what any workspace has, and exact in JSON."""

PolicyId = Annotated[
    str,
    matching(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "an id such as 8a3f0c1e-..."),
]

MOST_CALLS = 1_000_000_000
"""The highest rate limit per minute: far above what an endpoint answers, and exact in JSON."""
MOST_RATE_LIMITS = 20
MOST_RATE_LIMITS_OF_GROUPS = 5


class Concurrency(Closed):
    """Requests at a time that are provided for."""

    min: Annotated[int, Field(ge=4, le=MOST_CONCURRENCY, multiple_of=4)]
    max: Annotated[int, Field(ge=4, le=MOST_CONCURRENCY, multiple_of=4)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class EmailNotifications(Closed):
    """Who is told of an update's end; taken at creation only."""

    on_update_failure: Emails = ()
    on_update_success: Emails = ()


class Endpoint(Closed):
    """The serving endpoint."""

    name: EndpointName = "scgpt-serving"
    size: Size | None = None
    """T-shirt size, which :mod:`infra.sizes` turns into a workload type of the cloud."""
    workload_type: WorkloadType | None = None
    """Instead of ``size``: the platform's own name."""
    workload_size: Literal["Small", "Medium", "Large"] | None = None
    """Concurrency: Small 4, Medium 8-16, Large 16-64; on a GPU one replica for each 4."""
    provisioned_concurrency: Concurrency | None = None
    """Instead of ``workload_size``: the bounds themselves."""
    require_gpu: bool | None = None
    """A served process refuses to start on its processor. None: where the workload type has a GPU,
    but in a local workspace, whose machine has none."""
    torch: Annotated[str, AfterValidator(torches.check)] | None = None
    """Release of torch that versions built for it serve with. None: ``torches.DEFAULT``, and in a
    local workspace the installed one."""
    scale_to_zero: bool
    route_optimized: bool = False
    """Cannot be changed later: Terraform would delete the endpoint and make it anew."""
    timeout_minutes: Annotated[int, Field(ge=1, le=240)] = 100
    """How long a deployment may take. At the first one, the provider *deletes* an endpoint that is
    late."""
    description: NonEmpty | None = None
    """Taken at creation only."""
    budget_policy_id: PolicyId | None = None
    """Account-level budget policy; taken at creation only."""
    email_notifications: EmailNotifications = EmailNotifications()
    environment: dict[VariableName, str] = Field(default_factory=dict)
    """Variables of the serving process: plain values, or ``{{secrets/<scope>/<key>}}``."""

    @model_validator(mode="after")
    def _one_way_each(self) -> Self:
        for one, other in (
            ("size", "workload_type"),
            ("workload_size", "provisioned_concurrency"),
        ):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"has both {one} and {other}: give one of them")
        return self

    @field_validator("timeout_minutes")
    @classmethod
    def _long_enough(cls, minutes: int, info: ValidationInfo) -> int:
        if not info.context and minutes < SHORTEST_TIMEOUT_MINUTES:
            raise ValueError(
                f"must be {SHORTEST_TIMEOUT_MINUTES} or more: building the image alone may take an "
                "hour, and an endpoint that is late is deleted"
            )
        return minutes

    @field_validator("environment")
    @classmethod
    def _no_secrets(cls, variables: dict[str, str]) -> dict[str, str]:
        # Variables stand in the plan and in the state as plain text. Values are never shown.
        wrong = [shown(k) for k, value in variables.items() if secret_variable(k, value)]
        if wrong:
            raise ValueError(
                f"{', '.join(wrong)}: looks like a secret: write {{{{secrets/<scope>/<key>}}}} "
                "(what is none can be kept there too)"
            )
        if GPU_VARIABLE in variables:
            raise ValueError(f"{GPU_VARIABLE}: set it by require_gpu instead")
        return variables


class RateLimit(Closed):
    """Requests per minute."""

    calls: Annotated[int, Field(ge=1, le=MOST_CALLS)]
    key: Literal["endpoint", "user", "user_group", "service_principal"] = "user"
    """``endpoint`` in all, ``user`` for each user (or one), or one group or service principal."""
    principal: Principal | None = None
    """E-mail address, group's name or application id."""

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if self.key == "endpoint" and self.principal is not None:
            raise ValueError("key 'endpoint' takes no principal")
        if self.key in ("user_group", "service_principal") and self.principal is None:
            raise ValueError(f"key {self.key!r} needs a principal")
        return self


class Gateway(Closed):
    """The AI Gateway in front of the endpoint."""

    declared: bool = True
    """False for an adopted endpoint that never had a gateway: with nothing on, and only until it
    gets one, since the provider fails when the block is removed."""
    inference_table_prefix: Annotated[
        TablePrefix | None, BeforeValidator(lambda value: None if value == "" else value)
    ] = "scgpt_inference"
    """The table is ``<catalog>.<schema>.<prefix>_payload``; None (in the file: empty), payloads are
    not logged."""
    usage_tracking: bool = True
    rate_limits: tuple[RateLimit, ...] = ()

    @model_validator(mode="after")
    def _nothing_without_a_block(self) -> Self:
        if not self.declared and (
            self.inference_table_prefix is not None or self.usage_tracking or self.rate_limits
        ):
            raise ValueError(
                "declared = false goes with an empty inference_table_prefix, usage_tracking = "
                "false and no rate_limits: take declared = false out"
            )
        return self

    @field_validator("rate_limits")
    @classmethod
    def _few_and_one_per_key(cls, limits: tuple[RateLimit, ...]) -> tuple[RateLimit, ...]:
        unique(tuple(f"{limit.key} {limit.principal}" for limit in limits))
        of_groups = sum(limit.key == "user_group" for limit in limits)
        if len(limits) > MOST_RATE_LIMITS or of_groups > MOST_RATE_LIMITS_OF_GROUPS:
            raise ValueError(
                f"{MOST_RATE_LIMITS} at most, {MOST_RATE_LIMITS_OF_GROUPS} of them of groups: "
                f"there are {len(limits)}, {of_groups} of groups"
            )
        return limits


def _not_admins(group: str) -> str:
    if group == "admins":
        raise ValueError("'admins' manages every endpoint anyway and cannot be configured")
    return group


def _no_person(application_id: str) -> str:
    if "@" in application_id:
        raise ValueError(
            "must be an application id: people, by e-mail address, are in permissions.users"
        )
    return application_id


Group = Annotated[Principal, AfterValidator(_not_admins)]


class Permissions(Closed):
    """Who may use the endpoint: principal -> level."""

    groups: dict[Group, Level] = Field(default_factory=dict)
    users: dict[Email, Level] = Field(default_factory=dict)
    service_principals: dict[Annotated[Principal, AfterValidator(_no_person)], Level] = Field(
        default_factory=dict
    )
    """By application id."""

    @property
    def people(self) -> dict[str, Level]:
        """Return the levels of users and service principals, who may be anybody's roles too."""
        return {**self.users, **self.service_principals}

    def and_of(self, principal: str, level: Level) -> Permissions:
        """The same with the level of one more, by e-mail address or application id."""
        kind = "users" if "@" in principal else "service_principals"
        return self.model_copy(update={kind: {**getattr(self, kind), principal: level}})
