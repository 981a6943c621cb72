"""What becomes of the job's runs, told by EventBridge: it also knows of runs that end before Spark begins, of which
Glue has no metric.

Each rule sends to the alert topic, with the run's id and the reason; and its own count of matched events is a metric,
so an alarm needs nothing between.
"""

from __future__ import annotations

import json
from typing import Any

from aws_cdk import Fn
from aws_cdk import aws_events as events
from constructs import Construct

from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.constructs.object_ingest import UNDELIVERED, title
from tapehouse.cloud.constructs.queues import NAME_LIMIT
from tapehouse.cloud.monitoring.components import Components

FAILED = "job-failed"
LATE = "job-late"
FAILED_STATES = ("ERROR", "FAILED", "STOPPED", "TIMEOUT")
_ATTEMPTS = 24
_SECONDS = 3_600


class JobEvents(Construct):
    """`failed` and `late` tell the topic; what they could not deliver goes to the deployment's queue for that."""

    failed: events.CfnRule
    late: events.CfnRule

    def __init__(self, scope: Construct, construct_id: str, *, parts: Components) -> None:
        super().__init__(scope, construct_id)
        self._parts = parts
        self.failed = self._rule(
            FAILED,
            "Runs that failed, were stopped, timed out or never began",
            "Glue Job State Change",
            {"state": list(FAILED_STATES)},
            {
                "job": "$.detail.jobName",
                "run": "$.detail.jobRunId",
                "state": "$.detail.state",
                "why": "$.detail.message",
            },
            "Run <run> of job <job> is <state>: <why>",
        )
        self.late = self._rule(
            LATE,
            "Runs that take unusually long",
            "Glue Job Run Status",
            {},
            {"job": "$.detail.jobName", "run": "$.detail.jobRunId", "state": "$.detail.state"},
            "Run <run> of job <job> takes unusually long; it is <state>",
        )

    def _rule(
        self, purpose: str, description: str, kind: str, detail: dict[str, Any], paths: dict[str, str], text: str
    ) -> events.CfnRule:
        parts, own = self._parts, events.CfnRule
        return own(
            self,
            title(purpose),
            name=parts.naming.name(purpose),
            description=description,
            event_pattern={
                "source": ["aws.glue"],
                "detail-type": [kind],
                "detail": {"jobName": [str(Fn.sub(parts.job))], **detail},
            },
            targets=[
                own.TargetProperty(
                    id="Alerts",
                    arn=str(Fn.sub(parts.topic_arn)),
                    input_transformer=own.InputTransformerProperty(
                        input_paths_map=paths, input_template=json.dumps(text)
                    ),
                    retry_policy=own.RetryPolicyProperty(
                        maximum_event_age_in_seconds=_SECONDS, maximum_retry_attempts=_ATTEMPTS
                    ),
                    dead_letter_config=own.DeadLetterConfigProperty(
                        arn=arn("sqs", parts.naming.text(UNDELIVERED, limit=NAME_LIMIT))
                    ),
                )
            ],
        )
