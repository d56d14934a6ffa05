"""The one exception tree: what was wrong, what is allowed, what to do next."""

from __future__ import annotations

import re

_TAGGED = re.compile(r"\[([a-z][a-z0-9_]+)\] (.*)", re.DOTALL)


class ScgptError(Exception):
    """Base of every error that this package raises on purpose.

    Parameters
    ----------
    code
        Machine-readable reason, for example ``negative_values``. Stable between releases.
    message
        A sentence for people: which value, what is allowed, what to do.

    Attributes
    ----------
    status
        HTTP status that fits the error; 4xx for what the caller can mend.
    """

    status = 500

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def tagged(self) -> str:
        """The form in which errors travel inside other systems' messages: ``[code] sentence``."""
        return f"[{self.code}] {self.message}"


class InvalidRequest(ScgptError):  # noqa: N818 - a refusal, not a fault
    """The caller's data or params cannot be answered."""

    status = 400


class LimitExceeded(InvalidRequest):
    """The request is larger than the wire contract allows."""

    status = 413


class InvalidPacking(InvalidRequest):
    """A packed payload does not follow ``docs/wire-format.md``."""


class CheckpointError(ScgptError):
    """A checkpoint directory is missing something, damaged, or not a scGPT one."""


class BuildError(ScgptError):
    """The built model does not answer as it must; nothing was registered."""

    def __init__(self, message: str) -> None:
        super().__init__("build_failed", message)


class RegistryError(ScgptError):
    """The registry holds no such model or version, or the version is not fit for the purpose."""

    status = 404


class EngineError(ScgptError):
    """The model gave an answer that must not leave the process."""


class EndpointError(ScgptError):
    """An endpoint refused, failed or could not be reached.

    Attributes
    ----------
    http_status
        What the endpoint answered; None when there was no answer.
    """

    def __init__(self, code: str, message: str, http_status: int | None = None) -> None:
        super().__init__(code, message)
        self.http_status = http_status


def find_tag(text: str) -> tuple[str, str] | None:
    """``(code, sentence)`` of the first tagged error inside a foreign message, or None."""
    found = _TAGGED.search(text)
    return (found.group(1), found.group(2)) if found else None
