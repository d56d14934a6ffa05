"""A Serve config file for a cluster, and a KubeRay ``RayService`` around it."""

from __future__ import annotations

from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field
from ray import __version__ as ray_version
from ray import serve
from ray.serve.schema import ServeDeploySchema

from .places import MOST_LOADS
from .server import MAX_ONGOING_REQUESTS, autoscaling, deployment_from_model_name
from .settings import Settings

APPLICATION = f"{__name__}:application"
PORT = 8000
DEPLOYMENT = "scgpt"


class Arguments(BaseModel):
    """The ``args`` of an application in a Serve config file."""

    model_config = ConfigDict(extra="forbid")

    model: str
    default_version: str = "1"
    settings: Settings = Field(default_factory=Settings)


class Scale(BaseModel):
    """Replicas of a cluster.

    Parameters
    ----------
    least, most
        Their number.
    ongoing
        Requests on each, above which another one starts.
    cpus, gpus
        Resources of one replica; its versions' processes run beside it.
    """

    least: int = 1
    most: int = 4
    ongoing: float = 32
    cpus: float = 1
    gpus: float = 0


def application(args: dict[str, Any]) -> serve.Application:
    """Build the application of a Serve config file from its ``args``."""
    read = Arguments.model_validate(args)
    return deployment_from_model_name(
        read.model, read.default_version, settings=read.settings
    ).bind()


def serve_config(arguments: Arguments, scale: Scale) -> dict[str, Any]:
    """Return a Serve config file that Ray's own schema takes.

    Its replicas listen beyond loopback and therefore require a token.
    """
    settings = arguments.settings.model_copy(
        update={"require_token": True, "gpus": _share(scale, arguments.settings)}
    )
    resources = {"num_cpus": scale.cpus}
    config = {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": PORT, "request_timeout_s": 600},  # noqa: S104
        "logging_config": {"encoding": "JSON"},
        "applications": [
            {
                "name": DEPLOYMENT,
                "route_prefix": "/",
                "import_path": APPLICATION,
                "args": {
                    "model": arguments.model,
                    "default_version": arguments.default_version,
                    "settings": settings.model_dump(exclude_defaults=True),
                },
                "deployments": [
                    {
                        "name": DEPLOYMENT,
                        "max_ongoing_requests": MAX_ONGOING_REQUESTS,
                        "autoscaling_config": autoscaling(
                            scale.least, scale.most, scale.ongoing
                        ).model_dump(
                            include={"min_replicas", "max_replicas", "target_ongoing_requests"}
                        ),
                        "max_replicas_per_node": 1,  # its versions take the node's GPUs
                        "ray_actor_options": resources,
                    }
                ],
            }
        ],
    }
    ServeDeploySchema.model_validate(config)
    return config


def _share(scale: Scale, settings: Settings) -> float:
    """Return a version's share of the GPUs; those that load beside the others need theirs too."""
    processes = settings.max_models + MOST_LOADS
    return min(1.0, int(10_000 * scale.gpus / processes) / 10_000)  # Ray counts four digits


def ray_service(
    config: dict[str, Any], *, name: str, image: str, secret: str, scale: Scale
) -> dict[str, Any]:
    """Return a KubeRay ``RayService`` that runs a Serve config file.

    Parameters
    ----------
    image
        Has this package with the extra ``ray``, and what the versions require.
    secret
        Of Kubernetes; its keys become variables: the token, and what MLflow needs.
    """
    container = {
        "image": image,
        "envFrom": [{"secretRef": {"name": secret}}],
        "env": [{"name": "RAY_USAGE_STATS_ENABLED", "value": "0"}],
    }
    worker = {"limits": {"cpu": str(scale.cpus + 1), "memory": "16Gi"}}
    if scale.gpus:
        worker["limits"]["nvidia.com/gpu"] = str(int(-(-scale.gpus // 1)))
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": name},
        "spec": {
            "serveConfigV2": yaml.safe_dump(config, sort_keys=False),
            "rayClusterConfig": {
                "rayVersion": ray_version,
                "enableInTreeAutoscaling": scale.most > scale.least,
                "headGroupSpec": {
                    "rayStartParams": {"num-cpus": "0"},
                    "template": _pod({**container, "name": "head", "resources": {"limits": _HEAD}}),
                },
                "workerGroupSpecs": [
                    {
                        "groupName": "replicas",
                        "replicas": scale.least,
                        "minReplicas": scale.least,
                        "maxReplicas": scale.most,
                        "rayStartParams": {},
                        "template": _pod({**container, "name": "worker", "resources": worker}),
                    }
                ],
            },
        },
    }


_HEAD = {"cpu": "2", "memory": "4Gi"}


def _pod(container: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"containers": [container]}}
