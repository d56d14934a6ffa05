"""The type ``databricks_job``: tasks on a schedule.

The table has serverless jobs and job clusters of the simplest kind. Clouds' own settings, and the
tasks of other products are left out.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from .mapping import body, emptied, refreshed
from .resource import Resource, found, remove
from .rest import ProviderError, Session
from .schema import table
from .values import Values

_EMAILS = """
    no_alert_for_skipped_runs: bool optional
    on_duration_warning_threshold_exceeded on_failure on_start: strings optional
    on_streaming_backlog_exceeded on_success: strings optional
"""

_HEALTH = """
    rules: objects min=1
        metric op: string required
        value: number required
"""

_WEBHOOKS = """
    on_duration_warning_threshold_exceeded on_failure on_start: objects
        id: string required
    on_streaming_backlog_exceeded on_success: objects
        id: string required
"""


def _inside(fields: str, depth: int) -> str:
    return fields.rstrip().replace("\n    ", "\n" + "    " * depth)


JOB = table(f"""
    id: string optional computed local
    always_running control_run_state: bool optional default=false local
    budget_policy_id description edit_mode existing_cluster_id: string optional
    format: string optional computed
    max_concurrent_runs: number optional default=1
    max_retries min_retry_interval_millis timeout_seconds: number optional
    name: string optional default=Untitled
    performance_target usage_policy_id: string optional
    retry_on_timeout: bool optional
    tags: map optional
    url: string computed local
    continuous: object
        pause_status task_retry_mode: string optional
    email_notifications: object keep{_inside(_EMAILS, 2)}
    environment: objects wire=environments
        environment_key: string required
        spec: object
            client environment_version: string optional
            dependencies java_dependencies: strings optional
    health: object{_inside(_HEALTH, 2)}
    job_cluster: objects wire=job_clusters
        job_cluster_key: string required
        new_cluster: object min=1
            __apply_policy_default_values_allow_list ssh_public_keys: strings optional
            apply_policy_default_values is_single_node use_ml_runtime: bool optional
            cluster_id cluster_name data_security_mode idempotency_token kind: string optional
            custom_tags spark_conf spark_env_vars: map optional
            driver_instance_pool_id driver_node_type_id node_type_id: string optional computed
            enable_elastic_disk enable_local_disk_encryption: bool optional computed
            instance_pool_id policy_id runtime_engine single_user_name: string optional
            num_workers remote_disk_throughput total_initial_remote_disk_size: number optional
            spark_version: string optional
    notification_settings: object
        no_alert_for_canceled_runs no_alert_for_skipped_runs: bool optional
    parameter: objects wire=parameters
        default name: string required
    queue: object keep
        enabled: bool required
    run_as: object computed
        service_principal_name user_name: string optional
    schedule: object
        pause_status: string optional default=UNPAUSED
        quartz_cron_expression timezone_id: string required
    task: objects wire=tasks
        description environment_key existing_cluster_id job_cluster_key: string optional
        disable_auto_optimization disabled: bool optional
        max_retries min_retry_interval_millis timeout_seconds: number optional
        retry_on_timeout: bool optional computed
        run_if: string optional fills=ALL_SUCCESS
        task_key: string required
        depends_on: objects
            outcome: string optional
            task_key: string required
        email_notifications: object keep{_inside(_EMAILS, 3)}
        health: object{_inside(_HEALTH, 3)}
        library: objects wire=libraries
            egg jar requirements whl: string optional
            pypi: object
                package: string required
                repo: string optional
        notebook_task: object
            base_parameters: map optional
            notebook_path: string required
            source: string optional keep
            warehouse_id: string optional
        notification_settings: object
            alert_on_last_attempt: bool optional
            no_alert_for_canceled_runs no_alert_for_skipped_runs: bool optional
        python_wheel_task: object
            entry_point package_name: string optional
            named_parameters: map optional
            parameters: strings optional
        webhook_notifications: object keep{_inside(_WEBHOOKS, 3)}
    webhook_notifications: object keep{_inside(_WEBHOOKS, 2)}
    timeouts: timeouts
        create update: string optional
""")

_JOBS = "/api/2.2/jobs"


class Job(Resource):
    """A job of tasks. Tasks are kept in the order of their keys, whatever was configured."""

    name = "job"
    table = JOB
    version: ClassVar[int] = 2

    def validate(self, config: Values) -> None:
        for name in ("always_running", "control_run_state"):
            if config.get(name):
                raise ProviderError(f"the stand-in provider starts no runs: leave out {name}")
        if config.get("task") == []:
            raise ProviderError("the stand-in provider supports jobs with at least one task block")

    def create(self, session: Session, planned: Values) -> str:
        return str(session.call("POST", f"{_JOBS}/create", _sorted(self._body(planned)))["job_id"])

    def _body(self, planned: Values) -> dict[str, Any]:
        return {"queue": {"enabled": False}, **body(self.table, planned)}

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        answer = found(session, f"{_JOBS}/get?job_id={state['id']}")
        if answer is None:
            return None
        settings = _sorted(answer.get("settings", {}))
        if identity := answer.get("run_as_user_name"):
            settings["run_as"] = {_kind(identity): identity}
        after = refreshed(self.table, settings, state, fresh=fresh)
        return {**after, "url": f"{session.client.host}/#job/{state['id']}"}

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        content = {"job_id": int(prior["id"]), "new_settings": self._body(planned)}
        session.call("POST", f"{_JOBS}/reset", content)
        return emptied(self.table, planned, prior)

    def delete(self, session: Session, prior: Values) -> None:
        remove(session, "POST", f"{_JOBS}/delete", {"job_id": int(prior["id"])})


def _sorted(settings: dict[str, Any]) -> dict[str, Any]:
    """Tasks, and what each depends on, by key."""
    tasks = sorted(settings.get("tasks", []), key=lambda task: task["task_key"])
    for task in tasks:
        if "depends_on" in task:
            task["depends_on"] = sorted(task["depends_on"], key=lambda other: other["task_key"])
    return {**settings, "tasks": tasks} if tasks else dict(settings)


def _kind(identity: str) -> str:
    try:
        uuid.UUID(identity)
    except ValueError:
        return "user_name"
    return "service_principal_name"
