"""Types of the registry and of serving, as tables (:mod:`.schema` explains them).

What is not in a table does not exist: Terraform itself refuses it. ``external_model`` is here
because the plan of every endpoint names it; its provider blocks are not, no stack serves a vendor's
model.
"""

from __future__ import annotations

from .schema import table

PROVIDER = table("""
    host profile config_file auth_type: string optional
    token: string optional sensitive
    http_timeout_seconds retry_timeout_seconds: number optional
""")

SCHEMA = table("""
    id: string optional computed local
    catalog_name name: string required force_new fold
    comment: string optional
    enable_predictive_optimization metastore_id owner: string optional computed
    force_destroy: bool optional default=false local
    properties: map optional
    schema_id: string computed
    storage_root: string optional force_new
""")

VOLUME = table("""
    id: string optional computed local
    catalog_name schema_name: string required force_new fold
    comment: string optional
    name: string required fold
    owner: string optional computed
    storage_location: string optional force_new keep
    volume_path: string computed local
    volume_type: string required force_new
""")

REGISTERED_MODEL = table("""
    id: string optional computed local
    aliases: objects
        alias_name catalog_name id model_name schema_name: string optional
        version_num: number optional
    browse_only: bool optional
    catalog_name name schema_name: string optional force_new fold
    comment: string optional
    created_at updated_at: number optional computed
    created_by full_name metastore_id owner updated_by: string optional computed
    storage_location: string optional computed force_new
""")

SECURABLES = (
    "catalog credential external_location foreign_connection function metastore model pipeline "
    "recipient schema share storage_credential table volume"
)

GRANT = table(f"""
    id: string optional computed local
    {SECURABLES}: string optional force_new
    principal: string required force_new
    privileges: string_set required words
""")

MLFLOW_EXPERIMENT = table("""
    id: string optional computed local
    artifact_location: string optional force_new keep
    creation_time last_update_time: number optional computed
    description: string optional local
    experiment_id lifecycle_stage: string optional computed
    name: string required path
    tags: objects computed
        key value: string optional
    timeouts: timeouts
""")

PERMISSIONS = table("""
    id: string optional computed local
    access_control: set min=1
        group_name permission_level service_principal_name user_name: string optional
    alert_v2_id app_name authorization cluster_id cluster_policy_id: string optional force_new
    dashboard_id database_instance_name directory_id directory_path: string optional force_new
    experiment_id instance_pool_id job_id notebook_id notebook_path: string optional force_new
    pipeline_id registered_model_id repo_id repo_path serving_endpoint_id: string optional force_new
    sql_alert_id sql_dashboard_id sql_endpoint_id sql_query_id: string optional force_new
    vector_search_endpoint_id workspace_file_id workspace_file_path: string optional force_new
    object_type: string optional computed
""")

_SERVED = """
    environment_vars: map optional
    instance_profile_arn: string optional
    max_provisioned_concurrency max_provisioned_throughput: number optional
    min_provisioned_concurrency min_provisioned_throughput: number optional
    name: string optional computed
    provisioned_model_units: number optional
    scale_to_zero_enabled: bool optional
    workload_size: string optional
    workload_type: string optional computed
""".replace("\n    ", "\n            ")

_GUARDRAIL = """
    invalid_keywords: strings optional
    pii: object
        behavior: string optional
    safety: bool optional
    valid_topics: strings optional
""".replace("\n    ", "\n                ")

MODEL_SERVING = table(f"""
    id: string optional computed local
    ai_gateway: object
        fallback_config: object
            enabled: bool required
        guardrails: object
            input: object{_GUARDRAIL}
            output: object{_GUARDRAIL}
        inference_table_config: object
            catalog_name schema_name table_name_prefix: string optional
            enabled: bool optional
        rate_limits: objects
            calls tokens: number optional
            key principal: string optional
            renewal_period: string required
        usage_tracking_config: object
            enabled: bool optional
    budget_policy_id description: string optional
    config: object computed
        auto_capture_config: object
            catalog_name schema_name: string optional force_new
            enabled: bool optional computed
            table_name_prefix: string optional computed
        served_entities: objects
            entity_name entity_version: string optional
            external_model: object
                name provider task: string required{_SERVED}
        served_models: objects
            model_name model_version: string required{_SERVED}
        traffic_config: object computed
            routes: objects
                served_entity_name: string optional twin=served_model_name
                served_model_name: string optional twin=served_entity_name
                traffic_percentage: number required
    email_notifications: object
        on_update_failure on_update_success: strings optional
    endpoint_url: string computed
    name: string required force_new
    rate_limits: objects
        calls: number required
        key: string optional
        renewal_period: string required
    route_optimized: bool optional force_new
    serving_endpoint_id: string computed local
    tags: set
        key: string required
        value: string optional
    timeouts: timeouts
        create update: string optional
""")
