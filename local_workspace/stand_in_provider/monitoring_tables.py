"""The types of monitoring, as tables: warehouse, notification, alert, dashboard, job.

Of a job there is what runs without a cluster of its own: compute, libraries, and the tasks of
other products are left out.
"""

from __future__ import annotations

from .schema import table

SQL_ENDPOINT = table("""
    id: string optional computed local
    auto_stop_mins: number optional default=120 explicit
    cluster_size name: string required
    creator_name jdbc_url state: string computed
    data_source_id: string optional computed
    enable_photon: bool optional default=true explicit
    enable_serverless_compute: bool optional computed explicit
    health: records computed
        details message status summary: string
        failure_reason: records
            code type: string
            parameters: map
    instance_profile_arn: string optional
    max_num_clusters: number optional default=1
    min_num_clusters: number optional keep
    no_wait: bool optional local
    num_active_sessions num_clusters: number computed
    odbc_params: records computed
        hostname path protocol: string
        port: number
    spot_instance_policy: string optional default=COST_OPTIMIZED
    warehouse_type: string optional keep
    channel: object keep
        dbsql_version: string optional
        name: string optional default=CHANNEL_NAME_CURRENT
    tags: object keep
        custom_tags: objects
            key value: string required
    timeouts: timeouts
        create: string optional
""")

NOTIFICATION_DESTINATION = table("""
    id: string optional computed local
    destination_type: string optional computed
    display_name: string required
    config: object
        email: object force_new
            addresses: strings optional
        generic_webhook: object force_new
            password url username: string optional sensitive
            password_set url_set username_set: bool optional computed
        slack: object force_new
            channel_id oauth_token url: string optional sensitive
            channel_id_set oauth_token_set url_set: bool optional computed
""")

ALERT_V2 = table("""
    id: string computed stable
    create_time lifecycle_state owner_user_name update_time: string computed
    custom_description custom_summary parent_path run_as_user_name: string optional
    display_name query_text warehouse_id: string required
    effective_run_as: struct computed
        service_principal_name user_name: string optional
    evaluation: struct required
        comparison_operator: string required
        empty_result_state: string optional
        last_evaluated_at state: string computed
        notification: struct optional
            effective_notify_on_ok: bool computed
            effective_retrigger_seconds: number computed
            notify_on_ok: bool optional
            retrigger_seconds: number optional
            subscriptions: struct_set optional
                destination_id user_email: string optional
        source: struct required
            aggregation display: string optional
            name: string required
        threshold: struct optional
            column: struct optional
                aggregation display: string optional
                name: string required
            value: struct optional
                bool_value: bool optional
                double_value: number optional
                string_value: string optional
    run_as: struct optional
        service_principal_name user_name: string optional
    schedule: struct required
        pause_status: string optional
        quartz_cron_schedule timezone_id: string required
""")

DASHBOARD = table("""
    id: string optional computed local
    create_time dashboard_id etag lifecycle_state path update_time: string optional computed
    dashboard_change_detected: bool optional local
    display_name warehouse_id: string required
    embed_credentials: bool optional default=true local
    file_path: string optional local
    md5: string optional computed local
    parent_path: string required force_new path
    serialized_dashboard: string optional
""")

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
    email_notifications: object keep{_inside(_EMAILS, 2)}
    environment: objects wire=environments
        environment_key: string required
        spec: object
            client environment_version: string optional
            dependencies java_dependencies: strings optional
    health: object{_inside(_HEALTH, 2)}
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
