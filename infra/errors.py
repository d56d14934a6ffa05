"""The exception tree of the infrastructure code.

InfraError                  something about the infrastructure cannot be done as asked
├── SettingsError           an environment's TOML file is missing or wrong
├── ReleaseError            a release manifest is wrong, or does not fit its environment
├── DeployError             Terraform, the workspace or the verification failed
└── RefusedError            a guard refused; nothing was changed
"""

from __future__ import annotations


class InfraError(Exception):
    """Something about the infrastructure cannot be done as asked."""

    exit_code = 1


class SettingsError(InfraError):
    """An environment's TOML file is missing or wrong."""

    exit_code = 2


class ReleaseError(InfraError):
    """A release manifest is wrong, or does not fit its environment."""


class DeployError(InfraError):
    """Terraform, the workspace or the verification failed."""


class RefusedError(InfraError):
    """A guard refused; nothing was changed."""

    exit_code = 3
