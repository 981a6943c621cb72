"""What CloudFormation cannot do by itself, done by one function of ours: emptying a bucket before it goes, unpacking a
release, writing the first metadata of an Iceberg table.

The function and all that it may do outlive everything it does: each custom resource depends on the function's policy,
so CloudFormation makes the policy first and removes it last. The function runs outside the VPC: it answers to
CloudFormation, whose address is public, and must still do so while the VPC's endpoints are being removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import CfnDeletionPolicy, CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.constructs.denies import Denies
from tapehouse.cloud.constructs.encryption import use_statement
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.errors import UsageError

HANDLER = "tapehouse.handlers.deployment.handler"
_MINUTES = 15
# CloudFormation works on many resources at once; what finds no room is tried again by Lambda itself.
_CONCURRENCY = 5


@dataclass(frozen=True, slots=True)
class DeploymentProps:
    """`code` is the folder of Tapehouse's own Python, `runtime` such as python3.14. `data_key` encrypts the buckets
    and `logs_key` the function's log group.
    """

    naming: Naming
    lifecycle: Lifecycle
    code: Path
    runtime: str
    data_key: kms.IKey
    logs_key: kms.IKey
    denies: Denies


class Deployment(Construct):
    """The function, and the custom resources it stands behind."""

    function: lambda_.Function
    """Answers CloudFormation's requests; nothing else calls it."""
    role: iam.Role
    """What the function may do: the sum of what was asked of it, and no more."""
    log_group: logs.LogGroup
    """Where it tells what it did."""
    releases: dict[str, CustomResource]
    """By construct id; what reads a release is to depend on it."""

    def __init__(self, scope: Construct, construct_id: str, *, props: DeploymentProps) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        self.releases = {}
        name = props.naming.name("deployment")
        self.log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=f"/aws/lambda/{name}",
            retention=props.lifecycle.log_retention,
            encryption_key=props.logs_key,
            removal_policy=props.lifecycle.transient,
        )
        self.role = iam.Role(
            self,
            "Role",
            role_name=name,
            description="Prepares and clears what a deployment holds",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        props.denies.attach(self.role)
        base = self._permit(
            self,
            "Policy",
            _allow(["logs:CreateLogStream", "logs:PutLogEvents"], self.log_group.log_group_arn),
            use_statement(props.data_key.key_arn),
        )
        self.function = self._function(name, base)
        self._tables: iam.Policy | None = None

    def empty_on_delete(self, bucket: s3.Bucket) -> CustomResource:
        """Have all versions in the bucket deleted before CloudFormation deletes the bucket."""
        permission = self._permit(
            bucket,
            "EmptiedPolicy",
            _allow(["s3:ListBucketMultipartUploads", "s3:ListBucketVersions"], bucket.bucket_arn),
            _allow(
                ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"], bucket.arn_for_objects("*")
            ),
        )
        made = self._resource(bucket, "Emptied", "S3AutoDeleteObjects", {"Bucket": bucket.bucket_name}, permission)
        if bucket.policy is not None:
            _after(made, bucket.policy)
        return made

    def release(self, construct_id: str, folder: Path, bucket: s3.Bucket, *, prefix: str = "releases") -> str:
        """Have the folder's files copied to the bucket; returns their s3:// address, without a slash at its end.

        They lie under the hash of their content, and stay when the next release takes their place: runs that were
        started before, and those that are tried again, read theirs. `releases` has the resource.
        """
        asset = assets.Asset(self, f"{construct_id}Asset", path=str(folder))
        base = f"{prefix}/{asset.asset_hash}"
        permission = self._permit(
            self,
            f"{construct_id}Policy",
            _allow(["s3:GetObject"], asset.bucket.arn_for_objects(asset.s3_object_key)),
            _allow(["s3:ListBucket", "s3:ListBucketVersions"], bucket.bucket_arn),
            _allow(
                [
                    "s3:AbortMultipartUpload",
                    "s3:DeleteObject",
                    "s3:DeleteObjectVersion",
                    "s3:GetObject",
                    "s3:PutObject",
                ],
                bucket.arn_for_objects(f"{prefix}/*"),
            ),
        )
        properties = {
            "SourceBucket": asset.s3_bucket_name,
            "SourceKey": asset.s3_object_key,
            "Bucket": bucket.bucket_name,
            "Prefix": base,
        }
        made = self._resource(self, construct_id, "ReleaseFiles", properties, permission)
        made.node.default_child.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        if bucket.policy is not None:
            _after(made, bucket.policy)
        self.releases[construct_id] = made
        return f"s3://{bucket.bucket_name}/{base}"

    def admit_tables(self, bucket: s3.Bucket, prefix: str, database: str) -> None:
        """Allow what `iceberg_table` takes, for all tables of the database whose files lie under `prefix`. Once."""
        self._tables = self._permit(
            self,
            "TablesPolicy",
            _allow(["s3:DeleteObject", "s3:PutObject"], bucket.arn_for_objects(f"{prefix}/*")),
            _allow(["s3:ListBucket"], bucket.bucket_arn),
            _allow(
                ["glue:CreateTable", "glue:DeleteTable", "glue:GetTable"],
                arn("glue", "catalog"),
                arn("glue", f"database/{database}"),
                arn("glue", f"table/{database}/*"),
            ),
        )

    def iceberg_table(self, scope: Construct, construct_id: str, properties: Mapping[str, Any]) -> CustomResource:
        """Have an Iceberg table made where there is none; `properties` are those of `Custom::IcebergTable`.

        UsageError before `admit_tables`.
        """
        if self._tables is None:
            raise UsageError("tables are not admitted", fix="call admit_tables first")
        return self._resource(scope, construct_id, "IcebergTable", properties, self._tables)

    def _resource(
        self, scope: Construct, construct_id: str, kind: str, properties: Mapping[str, Any], permission: iam.Policy
    ) -> CustomResource:
        made = CustomResource(
            scope,
            construct_id,
            service_token=self.function.function_arn,
            resource_type=f"Custom::{kind}",
            properties=dict(properties),
            # Otherwise CloudFormation waits for an hour when no answer comes.
            service_timeout=Duration.minutes(_MINUTES + 5),
        )
        _after(made, permission)
        return made

    def _permit(self, scope: Construct, construct_id: str, *statements: iam.PolicyStatement) -> iam.Policy:
        """A policy for one purpose: whatever needs it can depend on it, without depending on all else."""
        policy = iam.Policy(
            scope,
            construct_id,
            policy_name=f"{scope.node.id}-{construct_id}".lower(),
            statements=list(statements),
        )
        policy.attach_to_role(self.role)
        return policy

    def _function(self, name: str, base: iam.Policy) -> lambda_.Function:
        function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description="Custom resources of the deployment",
            runtime=lambda_.Runtime(self._props.runtime, lambda_.RuntimeFamily.PYTHON),
            architecture=lambda_.Architecture.X86_64,
            handler=HANDLER,
            code=lambda_.Code.from_asset(str(self._props.code)),
            role=self.role.without_policy_updates(),
            timeout=Duration.minutes(_MINUTES),
            memory_size=512,
            reserved_concurrent_executions=_CONCURRENCY,
            log_group=self.log_group,
        )
        _after(function, base)
        return function


def _after(late: Construct, early: Construct) -> None:
    """Make `late` after `early`, and remove it before."""
    late.node.default_child.add_resource_dependency(early.node.default_child)


def _allow(actions: list[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=list(resources))
