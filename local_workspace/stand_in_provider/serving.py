"""The type ``databricks_model_serving``: an endpoint, and the waiting for it.

``external_model`` is in the table because the plan of every endpoint names it; its provider blocks
are not, no stack serves a vendor's model.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .mapping import body, changes, emptied, refreshed
from .resource import Resource, settled, undo
from .rest import InterruptedByUserError, ProviderError, Session
from .schema import table
from .values import Values

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

_ENDPOINTS = "/api/2.0/serving-endpoints"
# The real provider keeps this much of the create's limit for itself.
_RESERVE_S = 10.0


class ModelServing(Resource):
    """A serving endpoint; its id is its name."""

    name = "model_serving"
    table = MODEL_SERVING
    collection = _ENDPOINTS
    default_limit_s: ClassVar[float] = 45 * 60.0

    def create(self, session: Session, planned: Values) -> str:
        return str(session.call("POST", _ENDPOINTS, body(self.table, planned))["name"])

    def settle(self, session: Session, planned: Values) -> None:
        """Wait; an endpoint that does not come up is deleted, an interrupted wait leaves it."""
        name = planned["id"]
        try:
            self._wait(session, name, session.limit_s - _RESERVE_S)
        except InterruptedByUserError:
            raise
        except ProviderError as error:
            raise undo(session, f"{_ENDPOINTS}/{name}", "The endpoint", error) from error

    def _wait(self, session: Session, name: str, limit_s: float) -> None:
        def update() -> str:
            state = session.call("GET", f"{_ENDPOINTS}/{name}").get("state", {})
            return str(state.get("config_update"))

        failures = ("UPDATE_FAILED", "UPDATE_CANCELED")
        settled(update, session.looks(limit_s), "NOT_UPDATING", failures)

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        answer = self.answer(session, state)
        if answer is None:
            return None
        answer["config"] = _as_configured(answer.get("config"), state)
        after = refreshed(self.table, answer, state, fresh=fresh)
        return after | {"id": answer["name"], "serving_endpoint_id": answer.get("id")}

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        changed, path = changes(planned, prior), f"{_ENDPOINTS}/{prior['id']}"
        content = body(self.table, planned)
        if "config" in changed:
            session.call("PUT", f"{path}/config", content.get("config", {}))
            self._wait(session, prior["id"], session.limit_s)
        if "tags" in changed:
            session.call("PATCH", f"{path}/tags", self._retagged(session, path, content))
        if "ai_gateway" in changed:
            if "ai_gateway" not in content:
                raise ProviderError(
                    "the block ai_gateway cannot be removed (the real provider crashes here): "
                    "keep an empty block, `ai_gateway {}`"
                )
            session.call("PUT", f"{path}/ai-gateway", content["ai_gateway"])
        return emptied(self.table, planned, prior)

    def _retagged(self, session: Session, path: str, content: Values) -> dict[str, Any]:
        """Return the difference to the tags that are there now."""
        there = {
            tag["key"]: tag.get("value", "") for tag in session.call("GET", path).get("tags") or []
        }
        wanted = content.get("tags", [])
        add = [tag for tag in wanted if there.get(tag["key"]) != tag.get("value", "")]
        drop = sorted({*there} - {tag["key"] for tag in wanted})
        return {**({"add_tags": add} if add else {}), **({"delete_tags": drop} if drop else {})}


def _as_configured(config: Any, state: Values) -> Any:
    """Return the configuration without what only the server says."""
    if not config:
        return config
    held = (state.get("config") or [{}])[0]
    dropped = "served_entities" if held.get("served_models") else "served_models"
    kept = {key: value for key, value in config.items() if key != dropped}
    for kind in {"served_entities", "served_models"} & kept.keys():
        unsized = {each["name"] for each in held.get(kind) or [] if not each.get("workload_size")}
        kept[kind] = [
            {key: value for key, value in each.items() if key != "workload_size"}
            if each.get("name") in unsized
            else each
            for each in kept[kind]
        ]
    return kept
