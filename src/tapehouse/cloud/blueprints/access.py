"""Who may do what to which resource: the statements of functions, from what their code says that it calls, and those
of the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.monitoring.metrics import NAMESPACE
from tapehouse.handlers.permissions import PERMISSIONS, On


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

    def handler(self, name: str, **more: Sequence[str]) -> list[iam.PolicyStatement]:
        """What that handler calls, one statement for each kind of resource. `more` are ARNs by the kind's name in lower
        case, for kinds that not every deployment has; of those not given, nothing is allowed.
        """
        arns = {**self._arns(), **{On[kind.upper()]: list(found) for kind, found in more.items()}}
        actions: dict[On, list[str]] = {}
        for action, kind in PERMISSIONS[name]:
            actions.setdefault(kind, []).append(action)
        return [_allow(_sid(kind), found, *arns[kind]) for kind, found in actions.items() if arns.get(kind)]

    def _arns(self) -> dict[On, list[str]]:
        return {
            On.RAW_BUCKET: [self.raw.bucket_arn],
            On.LANDING_OBJECTS: [self.raw.arn_for_objects("landing/*")],
            On.MANIFEST_OBJECTS: [self.raw.arn_for_objects("manifests/*")],
            On.LINEAGE_TABLE: [self.table.table_arn],
            On.ALERT_TOPIC: [self.topic.topic_arn],
            On.GLUE_JOB: [arn("glue", f"job/{self.job}")],
            On.DATA_KEY: [self.key.key_arn],
        }

    def _under(self, *folders: str) -> list[str]:
        return [self.raw.arn_for_objects(f"{folder}/*") for folder in folders]

    def job_statements(self) -> list[iam.PolicyStatement]:
        """Reads landed objects and what lists them, keeps their bytes, and commits to the lake's tables."""
        database = self.database
        return [
            _allow("ReadLanded", ["s3:GetObject"], *self._under("landing", "manifests")),
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
            _allow("Lineage", ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], self.table.table_arn),
            _allow("Alert", ["sns:Publish"], self.topic.topic_arn),
        ]


def _sid(kind: On) -> str:
    return "".join(word.capitalize() for word in kind.name.split("_"))


def _allow(sid: str, actions: Sequence[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))
