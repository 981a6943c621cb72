"""Files in S3 to tables in Athena, with nothing that runs while nothing arrives."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import App
from constructs import Construct

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.blueprints.limits import require_room
from tapehouse.cloud.blueprints.outputs import put_outputs
from tapehouse.cloud.blueprints.pipeline import PipelineProps, PipelineStack
from tapehouse.cloud.blueprints.watched import components
from tapehouse.cloud.constructs.object_ingest import Redrive, RedriveProps
from tapehouse.cloud.endpoint_services import SERVERLESS_LAKE
from tapehouse.cloud.monitoring.stack import MonitoringProps, MonitoringStack
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Settings

NAME = "serverless-lake"
SERVICE = "lake"
# What only functions that land, judge or start are told.
LANDING = ("TAPEHOUSE_RAW_BUCKET", "TAPEHOUSE_GLUE_JOB", "TAPEHOUSE_RELEASE", "TAPEHOUSE_CONTRACTS")
SUMMARY = "files validated by Lambda and run by Glue into Iceberg tables"


@dataclass(frozen=True, slots=True)
class ServerlessLakeProps:
    """What the stack is made from."""

    settings: Settings
    packages: Packages


class ServerlessLakeStack(PipelineStack):
    """The path of files alone."""

    redrive: Redrive

    def __init__(self, scope: Construct, construct_id: str, *, props: ServerlessLakeProps) -> None:
        super().__init__(
            scope,
            construct_id,
            props=PipelineProps(props.settings, props.packages, NAME, SERVICE, SUMMARY, False, SERVERLESS_LAKE),
        )
        queues = self.objects.queue
        self.redrive = Redrive(
            self,
            "Redrive",
            platform=self.platform,
            props=RedriveProps(
                {
                    **{name: value for name, value in self.environment().items() if name not in LANDING},
                    **self.ending(),
                    "TAPEHOUSE_QUEUE_URL": queues.queue.queue_url,
                    "TAPEHOUSE_DLQ_URL": queues.dead_letters.queue_url,
                    "TAPEHOUSE_UNDELIVERED_URL": self.objects.undelivered.queue_url,
                },
                self.access.handler(
                    "redrive_objects",
                    object_queue=[queues.queue.queue_arn],
                    object_dead_letters=[queues.dead_letters.queue_arn],
                    undelivered=[self.objects.undelivered.queue_arn],
                ),
            ),
        )
        redrive = self.redrive.function.function.function_name
        put_outputs(self, iter([("RedriveFunction", redrive, "Takes dead letters again")]))


def build(app: App, settings: Settings, packages: Packages) -> None:
    """Add both stacks to the app."""
    naming = Naming.of(settings, SERVICE)
    stack = ServerlessLakeStack(app, naming.stack(), props=ServerlessLakeProps(settings, packages))
    monitoring = MonitoringStack(app, naming.stack("monitoring"), props=MonitoringProps(NAME, components(stack)))
    # Alarms name a topic that must be there; nothing more: neither holds on to the other.
    monitoring.add_stack_dependency(stack)
    require_room(stack, monitoring)
