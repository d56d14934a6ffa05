"""A typed HTTP API on Ray Serve, made from the MLflow signature of a registered model."""

from .server import deployment_from_model_name
from .settings import Settings, Split
from .typed import get_req_resp_signatures, schema_to_pydantic

__all__ = [
    "Settings",
    "Split",
    "deployment_from_model_name",
    "get_req_resp_signatures",
    "schema_to_pydantic",
]
