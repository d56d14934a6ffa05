"""Alerts over the inference table, and who is told."""

from __future__ import annotations

from functools import partial

from .. import monitoring
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
from ..settings import Settings
from .access import access_list


class Alerts(Construct):
    """Every alert of :data:`scgpt_databricks.infra.monitoring.ALERTS`.

    The provider takes no default from the workspace: a value that was not configured and comes back
    breaks the alert. So everything is configured, the folder in the workspace's own form.
    """

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, *, warehouse: str, table: str
    ) -> None:
        super().__init__(scope, id_)
        names, watch = settings.names, settings.monitoring
        notification = self._notification(settings)
        for alert in monitoring.ALERTS:
            logical_id = f"alert_{alert.key}"
            resource = AlertV2(
                self,
                logical_id,
                display_name=names.watched(alert.title),
                custom_summary=names.watched(alert.title),
                custom_description=alert.summary,
                parent_path=names.workspace_folder,
                warehouse_id=warehouse,
                query_text=monitoring.query(alert.sql, table=table, **alert.values),
                evaluation=AlertV2Evaluation(
                    source=AlertV2EvaluationSource(name=alert.column, aggregation="MAX"),
                    comparison_operator="GREATER_THAN",
                    threshold=AlertV2EvaluationThreshold(
                        value=AlertV2EvaluationThresholdValue(
                            double_value=watch.threshold(alert.threshold)
                        )
                    ),
                    empty_result_state="OK",
                    notification=notification,
                ),
                schedule=AlertV2Schedule(
                    quartz_cron_schedule=watch.schedule,
                    timezone_id=watch.timezone,
                    pause_status=watch.pause_status,
                ),
            )
            resource.override_logical_id(logical_id)
            levels = settings.object_levels("alert")
            access_list(self, f"{logical_id}_permissions", levels, alert_v2_id=resource.id)

    def _notification(self, settings: Settings) -> AlertV2EvaluationNotification:
        said = partial(
            AlertV2EvaluationNotification,
            notify_on_ok=True,
            retrigger_seconds=monitoring.REMIND_SECONDS,
        )
        told = [*self._made(settings), *settings.monitoring.destinations]
        if not told:
            return said()
        return said(
            subscriptions=[
                AlertV2EvaluationNotificationSubscriptions(destination_id=each) for each in told
            ]
        )

    def _made(self, settings: Settings) -> list[str]:
        """Return the id of the destination of the environment's e-mail addresses, if it has any."""
        emails = settings.monitoring.emails
        if not emails:
            return []
        destination = NotificationDestination(
            self,
            "destination",
            display_name=settings.names.watched("alerts"),
            config=NotificationDestinationConfigA(
                email=NotificationDestinationConfigEmail(addresses=list(emails))
            ),
        )
        destination.override_logical_id("destination")
        return [str(destination.id)]
