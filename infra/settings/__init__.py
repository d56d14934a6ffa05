"""One environment, as its TOML file declares it: frozen, closed, checked as a whole.

``load("dev")`` gives the settings or one :class:`SettingsError` that lists *all* problems of the
file, each with its key, the value and what is allowed. Five lines are a whole file: ``catalog``,
the workspace's ``host`` and the state's backend; the files in ``infra/environments/`` document the
other keys for those who write them.
"""

from __future__ import annotations

from ..errors import SettingsError
from .access import Grant, Securable, Waiver
from .endpoint import EmailNotifications, Endpoint, Gateway, Permissions, RateLimit
from .environment import Settings, Workspace, is_loopback
from .files import known, load, parse, refuse_shared_names
from .monitoring import Monitoring
from .promotion import Promotion
from .state import AzureState, GoogleState, HttpState, LocalState, S3State, State

__all__ = [
    "AzureState",
    "EmailNotifications",
    "Endpoint",
    "Gateway",
    "GoogleState",
    "Grant",
    "HttpState",
    "LocalState",
    "Monitoring",
    "Permissions",
    "Promotion",
    "RateLimit",
    "S3State",
    "Securable",
    "Settings",
    "SettingsError",
    "State",
    "Waiver",
    "Workspace",
    "is_loopback",
    "known",
    "load",
    "parse",
    "refuse_shared_names",
]
