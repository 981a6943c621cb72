"""The buckets: raw (what arrived), curated (tables), logs (who read them), scripts (releases), results (of queries).

All are versioned, encrypted, closed to the public and to calls without TLS 1.2. Data is under the data key; access
logs are under S3's own, for S3 cannot deliver them to a bucket that is encrypted otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from tapehouse.cloud.constructs import ageing, denies
from tapehouse.cloud.constructs.ageing import Ageing, Step
from tapehouse.cloud.constructs.arns import bucket_arn
from tapehouse.cloud.constructs.deployment import Deployment
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming

PURPOSES = ("raw", "curated", "logs", "scripts", "results")
# Those under the data key: what the denies of uploads are about.
DATA_PURPOSES = ("raw", "curated", "scripts", "results")
# Intelligent-Tiering's archive tier, which takes hours to read, is for what was set aside, never for tables.
_ARCHIVE_PREFIX = "archived/"


@dataclass(frozen=True, slots=True)
class StorageProps:
    """`raw_days`: how long landed bytes are kept, None for ever."""

    naming: Naming
    lifecycle: Lifecycle
    data_key: kms.IKey
    deployment: Deployment
    raw_days: int | None = None


class Storage(Construct):
    """Five buckets."""

    raw: s3.Bucket
    """Files as they came: landing/<dataset>/..., manifests/ that list them, and raw/<aa>/<sha256> once published."""
    curated: s3.Bucket
    """Iceberg tables under lake/."""
    logs: s3.Bucket
    """Server access logs of the others, by their purpose."""
    scripts: s3.Bucket
    """Releases: job scripts, wheels, contracts, reference files."""
    results: s3.Bucket
    """Results of Athena's queries."""

    def __init__(self, scope: Construct, construct_id: str, *, props: StorageProps) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        self.logs = self._logs()
        self.raw = self._data("Raw", "raw", ageing.raw_ageing(props.raw_days), archives=True)
        # As a property of the bucket itself: CDK's own way would change the bucket by a custom resource.
        self.raw.node.default_child.add_property_override(
            "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True
        )
        self.curated = self._data("Curated", "curated", ageing.curated_ageing(), archives=True)
        self.scripts = self._data("Scripts", "scripts", ageing.scripts_ageing())
        self.results = self._data("Results", "results", ageing.results_ageing())
        self._clear_in_order()

    @property
    def all(self) -> tuple[s3.Bucket, ...]:
        """Every bucket."""
        return (self.raw, self.curated, self.logs, self.scripts, self.results)

    def _data(self, construct_id: str, purpose: str, rules: Sequence[Ageing], *, archives: bool = False) -> s3.Bucket:
        props = self._props
        tiers = [
            s3.IntelligentTieringConfiguration(
                name="archive",
                prefix=_ARCHIVE_PREFIX,
                archive_access_tier_time=Duration.days(ageing.GLACIER_DAYS),
            )
        ]
        bucket = s3.Bucket(
            self,
            construct_id,
            bucket_name=props.naming.bucket(purpose),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=props.data_key,
            bucket_key_enabled=True,
            intelligent_tiering_configurations=tiers if archives else None,
            lifecycle_rules=[_rule(rule) for rule in rules],
            **_common(props.lifecycle),
        )
        bucket.node.default_child.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=self.logs.bucket_name, log_file_prefix=f"{purpose}/"
        )
        objects = [bucket.arn_for_objects("*")]
        _attach(bucket, denies.wrong_key(props.data_key.key_arn, objects, anyone=True))
        _attach(bucket, denies.public_grants(objects, anyone=True))
        return bucket

    def _logs(self) -> s3.Bucket:
        props = self._props
        bucket = s3.Bucket(
            self,
            "Logs",
            bucket_name=props.naming.bucket("logs"),
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[_rule(rule) for rule in ageing.logs_ageing(production=props.lifecycle.production)],
            **_common(props.lifecycle),
        )
        sources = [bucket_arn(props.naming, purpose) for purpose in DATA_PURPOSES]
        delivery = iam.PolicyStatement(
            sid="AccessLogs",
            principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects(f"{purpose}/*") for purpose in DATA_PURPOSES],
            conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}, "ArnLike": {"aws:SourceArn": sources}},
        )
        _attach(bucket, [delivery, *denies.public_grants([bucket.arn_for_objects("*")], anyone=True)])
        return bucket

    def _clear_in_order(self) -> None:
        """Empty buckets before they are deleted, the logs when nothing is left to be logged."""
        if not self._props.lifecycle.destroyable:
            return
        last = self._props.deployment.empty_on_delete(self.logs)
        for bucket in (self.raw, self.curated, self.scripts, self.results):
            bucket.node.default_child.add_resource_dependency(last.node.default_child)
            self._props.deployment.empty_on_delete(bucket)


def _common(lifecycle: Lifecycle) -> dict[str, object]:
    return {
        "versioned": True,
        "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
        "object_ownership": s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        "enforce_ssl": True,
        "minimum_tls_version": 1.2,
        # A smaller object's move costs more than it saves; Iceberg's metadata is small, and so stays where it is.
        "transition_default_minimum_object_size": s3.TransitionDefaultMinimumObjectSize.ALL_STORAGE_CLASSES_128_K,
        "removal_policy": lifecycle.removal,
    }


def _attach(bucket: s3.Bucket, statements: Sequence[iam.PolicyStatement]) -> None:
    for statement in statements:
        bucket.add_to_resource_policy(statement)


def _rule(rule: Ageing) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id=rule.name,
        prefix=rule.prefix or None,
        transitions=[
            s3.Transition(storage_class=s3.StorageClass(step.storage_class), transition_after=Duration.days(step.days))
            for step in rule.steps
        ],
        expiration=_days(rule.expire),
        noncurrent_version_transitions=[_noncurrent(step) for step in rule.noncurrent],
        noncurrent_version_expiration=_days(rule.noncurrent_expire),
        abort_incomplete_multipart_upload_after=_days(rule.abort),
        # Where nothing expires, markers of deletions stay behind when the last version under them has gone.
        expired_object_delete_marker=True if rule.noncurrent_expire is not None and rule.expire is None else None,
    )


def _noncurrent(step: Step) -> s3.NoncurrentVersionTransition:
    return s3.NoncurrentVersionTransition(
        storage_class=s3.StorageClass(step.storage_class), transition_after=Duration.days(step.days)
    )


def _days(count: int | None) -> Duration | None:
    return None if count is None else Duration.days(count)
