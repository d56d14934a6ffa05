"""The safe deploy of one environment: synthesise, plan, guard, apply, verify.

``cdktf deploy '<env>-*'`` does the same deploy without the guards and the verification; both keep
one state.
"""

from __future__ import annotations

from .flow import deploy, destroy, plan, second_plan, verify_environment
from .results import DeployResult, PlanResult, StackPlan
from .variables import child_environment, foreign_variables, terraform_variables

__all__ = [
    "DeployResult",
    "PlanResult",
    "StackPlan",
    "child_environment",
    "deploy",
    "destroy",
    "foreign_variables",
    "plan",
    "second_plan",
    "terraform_variables",
    "verify_environment",
]
