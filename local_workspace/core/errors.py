"""Refusals of the local workspace, in the form that Databricks clients understand."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


class ApiError(Exception):
    """A refusal: HTTP status, Databricks error code, and a sentence.

    Parameters
    ----------
    status
        HTTP status.
    code
        ``error_code`` of the JSON body, for example ``RESOURCE_DOES_NOT_EXIST``.
    message
        The mistake, and the values that are allowed.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self) -> Response:
        """Return the refusal as an HTTP answer."""
        return JSONResponse({"error_code": self.code, "message": self.message}, self.status)


def unauthenticated(message: str) -> ApiError:
    return ApiError(401, "UNAUTHENTICATED", message)


def forbidden(message: str) -> ApiError:
    return ApiError(403, "PERMISSION_DENIED", message)


def not_found(message: str) -> ApiError:
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", message)


def already_exists(message: str) -> ApiError:
    return ApiError(400, "RESOURCE_ALREADY_EXISTS", message)


def conflict(message: str) -> ApiError:
    return ApiError(409, "RESOURCE_CONFLICT", message)


def invalid(message: str) -> ApiError:
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)
