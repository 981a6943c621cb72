"""Where a template is read: account, region, partition, parameters, and what is known of physical names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Stand-ins for what only a deployment knows. `parameters` override the template's defaults, `exports` answer
    Fn::ImportValue, `physical` maps a logical id to what Ref returns once deployed; else names come from the template.
    """

    account: str = "111122223333"
    region: str = "us-east-1"
    partition: str = "aws"
    suffix: str = "amazonaws.com"
    stack: str = "stack"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    exports: Mapping[str, str] = field(default_factory=dict)
    physical: Mapping[str, str] = field(default_factory=dict)

    def pseudo(self) -> Mapping[str, Any]:
        """Values of the pseudo parameters."""
        return {
            "AWS::AccountId": self.account,
            "AWS::Region": self.region,
            "AWS::Partition": self.partition,
            "AWS::URLSuffix": self.suffix,
            "AWS::StackName": self.stack,
            "AWS::StackId": f"arn:{self.partition}:cloudformation:{self.region}:{self.account}:stack/{self.stack}/id",
            "AWS::NotificationARNs": [],
        }

    def arn(self, service: str, resource: str, *, region: bool = True, account: bool = True) -> str:
        """An ARN in this place; S3 has neither region nor account, IAM no region."""
        where = self.region if region else ""
        return f"arn:{self.partition}:{service}:{where}:{self.account if account else ''}:{resource}"
