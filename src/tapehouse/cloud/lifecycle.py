"""What becomes of things that hold data when a deployment is taken down: decided once, for all of them."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs

from tapehouse.cloud.settings import Settings


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """`production` keeps data, protects it from deletion and takes a last snapshot; every other environment can be
    destroyed and made again, with nothing left over.
    """

    production: bool

    @classmethod
    def of(cls, settings: Settings) -> Lifecycle:
        """The policy of the environment."""
        return cls(settings.production)

    @property
    def removal(self) -> RemovalPolicy:
        """Of buckets, keys, tables, streams, databases and log groups with data."""
        return RemovalPolicy.RETAIN if self.production else RemovalPolicy.DESTROY

    @property
    def transient(self) -> RemovalPolicy:
        """Of what holds nothing that is not also elsewhere: queues, topics, log groups of functions."""
        return RemovalPolicy.DESTROY

    @property
    def database_removal(self) -> RemovalPolicy:
        """Of a database: the last snapshot is kept in production."""
        return RemovalPolicy.SNAPSHOT if self.production else RemovalPolicy.DESTROY

    @property
    def destroyable(self) -> bool:
        """Whether buckets are emptied with the deployment."""
        return not self.production

    @property
    def key_window_days(self) -> int:
        """How long a key waits for its deletion, in which it can be called off."""
        return 30 if self.production else 7

    @property
    def deletion_protection(self) -> bool:
        """Of tables, databases, stacks and load balancers."""
        return self.production

    @property
    def multi_az(self) -> bool:
        """Whether there is a standby in another zone."""
        return self.production

    @property
    def nat_per_zone(self) -> bool:
        """One NAT gateway for each zone, or one for all."""
        return self.production

    @property
    def log_retention(self) -> logs.RetentionDays:
        """Of log groups."""
        return logs.RetentionDays.ONE_YEAR if self.production else logs.RetentionDays.ONE_WEEK
