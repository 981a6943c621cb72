"""The stack of alarms and dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import CfnOutput, Fn, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from tapehouse.cloud.blueprint import synthesizer
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.monitoring.alarms import AlarmFactory, Watch
from tapehouse.cloud.monitoring.components import Components
from tapehouse.cloud.monitoring.dashboards import Row, States, body
from tapehouse.cloud.monitoring.datasets import dataset_row, dataset_watches
from tapehouse.cloud.monitoring.gateways import gateway_purposes
from tapehouse.cloud.monitoring.job_events import JobEvents
from tapehouse.cloud.monitoring.services import service_rows, service_watches
from tapehouse.cloud.tags import apply_tags

DATASETS = "datasets"
OPERATIONS = "operations"
UNHEALTHY = "pipeline-unhealthy"
# A widget of alarm states takes no more.
_STATES_MAX = 100


@dataclass(frozen=True, slots=True)
class MonitoringProps:
    """`blueprint` is a tag; `parts` are what is monitored."""

    blueprint: str
    parts: Components


class MonitoringStack(Stack):
    """`alarms` by purpose, one composite alarm for each dataset in `composites` and one for all (`unhealthy`), the
    `datasets` and `operations` dashboards, and `job_events`.
    """

    alarms: Mapping[str, cloudwatch.CfnAlarm]
    composites: Mapping[str, cloudwatch.CfnCompositeAlarm]
    unhealthy: cloudwatch.CfnCompositeAlarm
    datasets: cloudwatch.CfnDashboard
    operations: cloudwatch.CfnDashboard
    job_events: JobEvents

    def __init__(self, scope: Construct, construct_id: str, *, props: MonitoringProps) -> None:
        parts = props.parts
        super().__init__(
            scope,
            construct_id,
            stack_name=parts.naming.stack("monitoring"),
            description=f"Alarms and dashboards of {parts.naming.stack()}",
            synthesizer=synthesizer(parts.naming),
            termination_protection=Lifecycle.of(parts.settings).deletion_protection,
        )
        self._parts = parts
        self._factory = AlarmFactory(self, parts.naming, parts.topic_arn)
        self.job_events = JobEvents(self, "JobEvents", parts=parts)
        services = list(service_watches(parts))
        by_dataset = {one.dataset.purpose: list(dataset_watches(parts, one)) for one in parts.datasets}
        every = [*services, *(watch for watches in by_dataset.values() for watch in watches)]
        self.alarms = {watch.purpose: self._factory.make(watch) for watch in every}
        self.composites = {name: self._composite(name, watches) for name, watches in by_dataset.items()}
        self.unhealthy = self._unhealthy(services)
        self.operations = self._dashboard(OPERATIONS, [self._states(services), *service_rows(parts)])
        self.datasets = self._dashboard(DATASETS, [dataset_row(parts, one) for one in parts.datasets])
        self._outputs()
        apply_tags(self, parts.settings, props.blueprint)

    def _composite(self, name: str, watches: list[Watch]) -> cloudwatch.CfnCompositeAlarm:
        made = self._factory.composite(
            f"{name}-unhealthy", f"Something is wrong with {name}.", [watch.purpose for watch in watches]
        )
        for watch in watches:
            made.add_resource_dependency(self.alarms[watch.purpose])
        return made

    def _unhealthy(self, services: list[Watch]) -> cloudwatch.CfnCompositeAlarm:
        children = [watch.purpose for watch in services] + [f"{name}-unhealthy" for name in self.composites]
        children += gateway_purposes(self._parts.gateways)
        made = self._factory.composite(UNHEALTHY, "Something is wrong with the pipeline.", children)
        for watch in services:
            made.add_resource_dependency(self.alarms[watch.purpose])
        for one in self.composites.values():
            made.add_resource_dependency(one)
        return made

    def _states(self, services: list[Watch]) -> Row:
        top = [UNHEALTHY, *(f"{name}-unhealthy" for name in self.composites)]
        shared = (watch.purpose for watch in services)
        every = [*top, *gateway_purposes(self._parts.gateways), *shared][:_STATES_MAX]
        return Row("Alarms", [States("State of alarms", [self._factory.name(purpose) for purpose in every])])

    def _dashboard(self, purpose: str, rows: list[Row]) -> cloudwatch.CfnDashboard:
        return cloudwatch.CfnDashboard(
            self,
            f"{purpose.capitalize()}Board",
            dashboard_name=self._parts.naming.name(purpose),
            dashboard_body=str(Fn.sub(body(rows, purpose))),
        )

    def _outputs(self) -> None:
        for key, board in (("Dashboard", self.datasets), ("OperationsDashboard", self.operations)):
            CfnOutput(
                self,
                key,
                value=board.ref,
                description=f"Name of the {key.removesuffix('Dashboard').lower() or 'datasets'} dashboard",
                export_name=self._parts.naming.export(key),
            )
