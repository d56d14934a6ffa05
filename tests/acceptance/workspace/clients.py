"""Unmodified clients of a running instance, and its control routes."""

from __future__ import annotations

import configparser
from typing import Any

import requests
from databricks.sdk import WorkspaceClient

from scgpt_databricks.local_workspace.server.instance import Info


def sdk(info: Info, profile: str = "local") -> WorkspaceClient:
    return WorkspaceClient(config_file=str(info.config), profile=profile)


def call(
    info: Info, method: str, path: str, profile: str = "local", **more: Any
) -> requests.Response:
    """A request as admin, or by another profile."""
    parser = configparser.ConfigParser()
    assert info.config is not None
    parser.read(info.config)
    headers = {"Authorization": f"Bearer {parser[profile]['token']}"}
    return requests.request(method, f"{info.url}{path}", headers=headers, timeout=60, **more)
