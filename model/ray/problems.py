"""Refusals as problem objects (RFC 9457): one shape for every status that is no success."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from ..errors import ScgptError
from ..judge.signatures import Difference

MEDIA_TYPE = "application/problem+json"


class Fault(BaseModel):
    """One fault of a body."""

    path: str = Field(description="JSON pointer (RFC 6901) to the value; empty: the whole body.")
    message: str


class SignatureDifference(BaseModel):
    """One difference that makes two versions incompatible."""

    place: str
    message: str


class Problem(BaseModel):
    """A problem object."""

    type: str = Field(description="`urn:scgpt:problem:` and the code.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="Which value was wrong, what is allowed, what to do.")
    code: str = Field(description="Machine-readable reason, stable between releases.")
    request_id: str = Field(description="Of this request, also in the logs.")
    errors: list[Fault] | None = None
    differences: list[SignatureDifference] | None = None


class Refusal(ScgptError):  # noqa: N818 - as InvalidRequest
    """An answer that is no success.

    Parameters
    ----------
    status
        Of HTTP.
    faults
        Where a body is wrong.
    differences
        Why a version cannot stand in for the default one.
    headers
        Sent beside the problem object.
    trace
        For the log alone: where a model failed.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        faults: Sequence[Fault] | None = None,
        differences: Sequence[Difference] | None = None,
        headers: dict[str, str] | None = None,
        trace: str = "",
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.faults, self.differences = faults, differences
        self.headers = headers or {}
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a process send it to another."""
        names = ("faults", "differences", "headers", "trace")
        more = {name: getattr(self, name) for name in names}
        return _refusal, (self.status, self.code, self.message, more)

    def body(self, request_id: str) -> bytes:
        """Return the problem object, as JSON."""
        differences = self.differences
        problem = Problem(
            type=f"urn:scgpt:problem:{self.code.replace('_', '-')}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.message,
            code=self.code,
            request_id=request_id,
            errors=None if self.faults is None else list(self.faults),
            differences=None
            if differences is None
            else [SignatureDifference(place=d.place, message=d.sentence) for d in differences],
        )
        return problem.model_dump_json(exclude_none=True).encode()


def _refusal(status: int, code: str, message: str, more: dict[str, Any]) -> Refusal:
    return Refusal(status, code, message, **more)


def pointer(path: Sequence[Any]) -> str:
    """Return a JSON pointer."""
    return "".join("/" + str(each).replace("~", "~0").replace("/", "~1") for each in path)
