"""The type ``databricks_query``: a saved query."""

from __future__ import annotations

from .mapping import body, changes, emptied
from .resource import Resource
from .rest import ProviderError, Session
from .schema import table
from .values import Values

QUERY = table("""
    id: string computed local
    create_time last_modifier_user_name lifecycle_state update_time: string computed
    apply_auto_limit: bool optional
    catalog description schema: string optional
    owner_user_name run_as_mode: string optional keep
    parent_path: string optional force_new path keep
    display_name query_text warehouse_id: string required
    tags: strings optional
    parameter: objects wire=parameters
        name: string required
        title: string optional
        date_range_value: object
            dynamic_date_range_value precision: string optional
            start_day_of_week: number optional
            date_range_value: object
                end start: string required
        date_value: object
            date_value dynamic_date_value precision: string optional
        enum_value: object
            enum_options: string optional
            values: strings optional
            multi_values_options: object
                prefix separator suffix: string optional
        numeric_value: object
            value: number required
        query_backed_value: object
            query_id: string required
            values: strings optional
            multi_values_options: object
                prefix separator suffix: string optional
        text_value: object
            value: string required
""")

_QUERIES = "/api/2.0/sql/queries"
_ANSWERED = {"create_time", "last_modifier_user_name", "lifecycle_state", "update_time"}
_SENT = {*QUERY.attributes, *QUERY.blocks} - _ANSWERED
_ALWAYS = ("display_name", "query_text", "warehouse_id", "parameters")
_IF_CHANGED = (
    *("run_as_mode", "owner_user_name", "description", "tags", "apply_auto_limit", "catalog"),
    "schema",
)


class Query(Resource):
    """A saved query."""

    name = "query"
    table = QUERY
    collection = _QUERIES

    def validate(self, config: Values) -> None:
        if config.get("owner_user_name") is not None:
            raise ProviderError("the stand-in provider supports no owner_user_name of a query")

    def create(self, session: Session, planned: Values) -> str:
        content = {"auto_resolve_display_name": False, "query": body(self.table, planned, _SENT)}
        return str(session.call("POST", _QUERIES, content)["id"])

    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        changed = changes(planned, prior)
        content = {
            "auto_resolve_display_name": False,
            "query": body(self.table, planned, _SENT - {"parent_path"}),
            "update_mask": ",".join([*_ALWAYS, *(each for each in _IF_CHANGED if each in changed)]),
        }
        session.call("PATCH", f"{_QUERIES}/{prior['id']}", content)
        return emptied(self.table, planned, prior)
