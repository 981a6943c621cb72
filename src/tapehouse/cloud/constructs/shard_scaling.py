"""Provisioned streams that follow their volume: alarms and the clock start a function that changes their shards.

Application Auto Scaling has no target for Kinesis. What is planned is the least; the most is twice as much, within the
account's quota. The validator's reserved concurrency stays what was planned: while a stream is wider than that, records
may wait longer, which is told by the alarm of how far its reader is behind, and none is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Fn
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from tapehouse.cloud.capacity import quotas
from tapehouse.cloud.capacity.plan import Plan
from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.constructs.functions import FunctionPlatform, PythonFunction, PythonFunctionProps
from tapehouse.cloud.constructs.object_ingest import title
from tapehouse.cloud.constructs.stream_ingest import STREAM_LIMIT, IngestedStream, stream_purpose
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Settings

HANDLER = "tapehouse.handlers.shard_scaling.handler"
FUNCTION = "shard-scaling"
ON_ALARM, ON_CLOCK = "shards-refused", "shards-hourly"
# How far a stream may be widened beyond what is planned.
HEADROOM = 2
TIMEOUT_SECONDS = 120
_ATTEMPTS, _SECONDS = 4, 3_600


@dataclass(frozen=True, slots=True)
class ShardScalingProps:
    """`alarms` are the names (for `Fn::Sub`) of those that tell of refused records; `dead_letters` keeps events that
    could not be delivered, or whose handling failed. It must admit the rules `ON_ALARM` and `ON_CLOCK`.
    """

    settings: Settings
    naming: Naming
    lifecycle: Lifecycle
    plan: Plan
    streams: Sequence[IngestedStream]
    alarms: Sequence[str]
    key: kms.IKey
    dead_letters: sqs.IQueue


class ShardScaling(Construct):
    """`function`, the two `rules` that start it, and the `bounds` of shards by dataset."""

    function: PythonFunction
    rules: Sequence[events.CfnRule]
    bounds: Mapping[str, tuple[int, int]]

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: FunctionPlatform, props: ShardScalingProps
    ) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        naming = props.naming
        self.bounds = shard_bounds(props.settings, props.plan, [one.dataset.name for one in props.streams])
        named = {
            naming.text(stream_purpose(one.dataset), limit=STREAM_LIMIT): self.bounds[one.dataset.name]
            for one in props.streams
        }
        self.function = PythonFunction(
            self,
            "Scaling",
            platform=platform,
            props=PythonFunctionProps(
                purpose=FUNCTION,
                handler=HANDLER,
                description="Changes the number of shards of streams with their volume",
                memory_mib=256,
                timeout_seconds=TIMEOUT_SECONDS,
                environment={"TAPEHOUSE_SHARD_BOUNDS": str(Fn.sub(json.dumps(named, sort_keys=True)))},
                statements=self._statements(),
                # One after the other: two would see the same stream and take two steps.
                reserved=1,
                dead_letters=props.dead_letters.queue_arn,
            ),
        )
        pattern = {
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "detail": {"alarmName": [str(Fn.sub(name)) for name in props.alarms], "state": {"value": ["ALARM"]}},
        }
        self.rules = [
            self._rule(ON_ALARM, "Alarms of refused records", event_pattern=pattern),
            self._rule(ON_CLOCK, "Every hour", schedule_expression="rate(1 hour)"),
        ]

    def _statements(self) -> list[iam.PolicyStatement]:
        streams = [one.stream.attr_arn for one in self._props.streams]
        return [
            iam.PolicyStatement(
                sid="Shards",
                actions=["kinesis:DescribeStreamSummary", "kinesis:UpdateShardCount"],
                resources=streams,
            ),
            iam.PolicyStatement(
                sid="Volume",
                # CloudWatch has no resource-level permissions for reading metrics.
                actions=["cloudwatch:GetMetricStatistics"],
                resources=["*"],
            ),
            iam.PolicyStatement(
                sid="Key", actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[self._props.key.key_arn]
            ),
        ]

    def _rule(self, purpose: str, description: str, **when: object) -> events.CfnRule:
        own, name = events.CfnRule, self._props.naming
        rule = own(
            self,
            title(purpose),
            name=name.name(purpose),
            description=description,
            targets=[
                own.TargetProperty(
                    id="Scaling",
                    arn=self.function.function.function_arn,
                    retry_policy=own.RetryPolicyProperty(
                        maximum_event_age_in_seconds=_SECONDS, maximum_retry_attempts=_ATTEMPTS
                    ),
                    dead_letter_config=own.DeadLetterConfigProperty(arn=self._props.dead_letters.queue_arn),
                )
            ],
            **when,
        )
        lambda_.CfnPermission(
            self,
            f"{title(purpose)}Permission",
            action="lambda:InvokeFunction",
            function_name=self.function.function.function_arn,
            principal="events.amazonaws.com",
            source_arn=arn("events", f"rule/{name.text(purpose)}"),
        )
        return rule


def shard_bounds(settings: Settings, plan: Plan, datasets: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By dataset, the fewest and most shards that its stream may have. The account's quota is shared out, so that all
    streams can be as wide as they may at once.
    """
    planned = {name: plan.dataset(name).shards or 1 for name in datasets}
    quota, total = int(quotas.shards(settings).value), sum(planned.values())
    return {
        name: (shards, max(shards, min(HEADROOM * shards, shards * quota // total))) for name, shards in planned.items()
    }
