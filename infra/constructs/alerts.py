"""Alerts over the inference table, and who is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..bindings import (
    AlertV2,
    AlertV2Evaluation,
    AlertV2EvaluationNotification,
    AlertV2EvaluationNotificationSubscriptions,
    AlertV2EvaluationSource,
    AlertV2EvaluationThreshold,
    AlertV2EvaluationThresholdValue,
    AlertV2Schedule,
    Construct,
    NotificationDestination,
    NotificationDestinationConfigA,
    NotificationDestinationConfigEmail,
)
from ..monitoring import REMIND_SECONDS, Alert, query
from ..naming import Names
from ..settings import Monitoring
from .access_list import access_list


class Alerts(Construct):
    """Every alert of :data:`scgpt_databricks.infra.monitoring.ALERTS`.

    The provider takes no default from the workspace: a value that was not configured and comes back
    breaks the alert. So everything is configured, the folder in the workspace's own form.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        monitoring: Monitoring,
        warehouse: str,
        table: str,
        alerts: Sequence[Alert],
        levels: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        notification = self._notification(names, monitoring)
        for alert in alerts:
            logical_id = f"alert_{alert.key}"
            resource = AlertV2(
                self,
                logical_id,
                display_name=names.watched(alert.title),
                custom_summary=names.watched(alert.title),
                custom_description=alert.summary,
                parent_path=names.workspace_folder,
                warehouse_id=warehouse,
                query_text=query(alert.sql, table=table, **alert.values),
                evaluation=AlertV2Evaluation(
                    source=AlertV2EvaluationSource(name=alert.column, aggregation="MAX"),
                    comparison_operator="GREATER_THAN",
                    threshold=AlertV2EvaluationThreshold(
                        value=AlertV2EvaluationThresholdValue(
                            double_value=monitoring.threshold(alert.threshold)
                        )
                    ),
                    empty_result_state="OK",
                    notification=notification,
                ),
                schedule=AlertV2Schedule(
                    quartz_cron_schedule=monitoring.schedule,
                    timezone_id=monitoring.timezone,
                    pause_status=monitoring.pause_status,
                ),
            )
            resource.override_logical_id(logical_id)
            access_list(self, f"{logical_id}_permissions", levels, alert_v2_id=resource.id)

    def _notification(self, names: Names, monitoring: Monitoring) -> AlertV2EvaluationNotification:
        if not monitoring.emails:
            return AlertV2EvaluationNotification(
                notify_on_ok=True, retrigger_seconds=REMIND_SECONDS
            )
        destination = NotificationDestination(
            self,
            "destination",
            display_name=names.watched("alerts"),
            config=NotificationDestinationConfigA(
                email=NotificationDestinationConfigEmail(addresses=list(monitoring.emails))
            ),
        )
        destination.override_logical_id("destination")
        return AlertV2EvaluationNotification(
            notify_on_ok=True,
            retrigger_seconds=REMIND_SECONDS,
            subscriptions=[
                AlertV2EvaluationNotificationSubscriptions(destination_id=destination.id)
            ],
        )
