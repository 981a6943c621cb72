"""ARNs, service hosts and principals in terms of CloudFormation's pseudo parameters, so that a template holds neither
account nor region nor partition.
"""

from __future__ import annotations

from aws_cdk import Aws, Fn
from aws_cdk import aws_iam as iam

from tapehouse.cloud.naming import Naming


def arn(service: str, resource: str) -> str:
    """ARN of something of this account in this region; `resource` may hold `${AWS::...}` as `Fn::Sub` knows it."""
    return str(Fn.sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"))


def bucket_arn(naming: Naming, purpose: str, keys: str = "") -> str:
    """ARN of a bucket by its name, or of the objects that `keys` matches. Makes no dependency on the bucket."""
    path = f"/{keys}" if keys else ""
    return str(Fn.sub(f"arn:${{AWS::Partition}}:s3:::{naming.bucket_text(purpose)}{path}"))


def via(service: str) -> str:
    """Value of kms:ViaService for calls that come through that service of this region."""
    return str(Fn.sub(f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"))


def account_root(account: str) -> iam.IPrincipal:
    """The other account as a principal: whom of its own it lets in is its own affair."""
    return iam.ArnPrincipal(str(Fn.sub(f"arn:${{AWS::Partition}}:iam::{account}:root")))


def this_account() -> dict[str, str]:
    """Condition of a service's statement: what the service acts for is in this account."""
    return {"aws:SourceAccount": Aws.ACCOUNT_ID}
