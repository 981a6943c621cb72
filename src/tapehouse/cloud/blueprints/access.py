"""Who may do what to which resource: the statements of the deployment's functions and job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.constructs.encryption import use_statement
from tapehouse.cloud.monitoring.metrics import NAMESPACE


@dataclass(frozen=True, slots=True)
class Access:
    """The resources that handlers work on; `job` is the job's name for `Fn::Sub`."""

    raw: s3.IBucket
    curated: s3.IBucket
    scripts: s3.IBucket
    table: dynamodb.ITable
    topic: sns.ITopic
    key: kms.IKey
    job: str
    database: str

    def stream_validator(self) -> list[iam.PolicyStatement]:
        """Lands what arrives in streams."""
        return [*self._landing(), *self._common()]

    def object_validator(self) -> list[iam.PolicyStatement]:
        """Reads what has landed, and starts runs."""
        return [
            _allow("ReadLanding", ["s3:GetObject"], self.raw.arn_for_objects("landing/*")),
            _allow("StartRuns", ["glue:GetJobRun", "glue:StartJobRun"], arn("glue", f"job/{self.job}")),
            *self._common(),
        ]

    def redrive(self, streams: Sequence[kinesis.CfnStream]) -> list[iam.PolicyStatement]:
        """Reads records again by their positions, and lands them."""
        if not streams:
            return self._common()
        reading = ["kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator"]
        return [
            _allow("ReadAgain", reading, *(one.attr_arn for one in streams)),
            *self._landing(),
            *self._common(),
        ]

    def job_statements(self) -> list[iam.PolicyStatement]:
        """Reads landed objects, keeps their bytes, and commits to the lake's tables."""
        database = self.database
        return [
            _allow("ReadLanded", ["s3:GetObject"], self.raw.arn_for_objects("landing/*")),
            _allow("KeepRaw", ["s3:GetObject", "s3:PutObject"], self.raw.arn_for_objects("raw/*")),
            _allow(
                "Lake",
                ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                self.curated.arn_for_objects("lake/*"),
            ),
            _allow("ListLake", ["s3:ListBucket"], self.curated.bucket_arn, self.raw.bucket_arn),
            _allow(
                "Tables",
                [
                    "glue:CreateTable",
                    "glue:GetDatabase",
                    "glue:GetDatabases",
                    "glue:GetTable",
                    "glue:GetTables",
                    "glue:UpdateTable",
                ],
                arn("glue", "catalog"),
                arn("glue", f"database/{database}"),
                arn("glue", f"table/{database}/*"),
            ),
            # CloudWatch has no resource-level permissions for PutMetricData; the namespace is what can be said.
            iam.PolicyStatement(
                sid="Metrics",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
            ),
            *self._common(),
        ]

    def _landing(self) -> list[iam.PolicyStatement]:
        # A record that comes again finds its object there, and asks how far it goes.
        return [_allow("Land", ["s3:GetObject", "s3:PutObject"], self.raw.arn_for_objects("landing/*"))]

    def _common(self) -> list[iam.PolicyStatement]:
        return [
            _allow("Lineage", ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], self.table.table_arn),
            _allow("Alert", ["sns:Publish"], self.topic.topic_arn),
            use_statement(self.key.key_arn),
        ]


def _allow(sid: str, actions: Sequence[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))
