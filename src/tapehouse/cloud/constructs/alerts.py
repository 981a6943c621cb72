"""Who is told: one encrypted topic for alarms, events and findings about data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming


@dataclass(frozen=True, slots=True)
class AlertsProps:
    """`emails` are asked to confirm before they get anything."""

    naming: Naming
    lifecycle: Lifecycle
    data_key: kms.IKey
    emails: Sequence[str] = ()


class Alerts(Construct):
    """The topic, its policy and who subscribes."""

    topic: sns.Topic
    """Alarms and rules of this account may publish, and roles that are allowed to; nothing without TLS."""
    subscriptions: tuple[sns.Subscription, ...]
    """By e-mail, in the order given."""

    def __init__(self, scope: Construct, construct_id: str, *, props: AlertsProps) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(
            self, "Topic", topic_name=props.naming.name("alerts"), master_key=props.data_key, enforce_ssl=True
        )
        self.topic.apply_removal_policy(props.lifecycle.transient)
        self._admit("CloudWatchAlarms", "cloudwatch.amazonaws.com", arn("cloudwatch", "alarm:*"))
        # EventBridge does not say in every call on whose behalf it publishes.
        self._admit("EventBridge", "events.amazonaws.com", arn("events", "rule/*"), exists="IfExists")
        self.subscriptions = tuple(
            sns.Subscription(
                self, f"Email{number}", topic=self.topic, protocol=sns.SubscriptionProtocol.EMAIL, endpoint=email
            )
            for number, email in enumerate(props.emails)
        )

    def _admit(self, sid: str, service: str, source: str, *, exists: str = "") -> None:
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[iam.ServicePrincipal(service)],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    f"StringEquals{exists}": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    f"ArnLike{exists}": {"aws:SourceArn": source},
                },
            )
        )
