"""A typed HTTP API on Ray Serve, made from the MLflow signature of a registered model."""

from .typed import get_req_resp_signatures, schema_to_pydantic

__all__ = ["get_req_resp_signatures", "schema_to_pydantic"]
