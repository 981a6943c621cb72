"""The Spark job that runs contracts: its release, sizes, encryption, network and role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aws_cdk import Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from tapehouse.cloud.capacity.plan import Plan
from tapehouse.cloud.constructs.denies import Denies
from tapehouse.cloud.constructs.glue_role import SPARK_UI, TEMPORARY, GlueNeeds, connection, service_statements
from tapehouse.cloud.constructs.network import Network
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import ROLE_LIMIT, Naming
from tapehouse.cloud.releases.catalogue import chosen
from tapehouse.cloud.settings import Settings

JOB = "job"
ROLE, SECURITY = "job-role", "job-security"
JOB_LIMIT = 255
SCRIPT = "glue_job.py"
WHEELS = "wheelhouse"
LOG_PREFIX = "/aws-glue/"
# Of its timeout: a run that takes longer than this is told of while something can still be done.
LATE_FRACTION = 0.8


@dataclass(frozen=True, slots=True)
class GlueJobProps:
    """`release` is the s3:// address of the release's files in `scripts_bucket`, `release_folder` the same files here.
    `arguments` are the job's own defaults (--lake and so on); `statements` what its code calls.
    """

    settings: Settings
    naming: Naming
    lifecycle: Lifecycle
    plan: Plan
    release: str
    release_folder: Path
    scripts_bucket: s3.IBucket
    logs_bucket: s3.IBucket
    data_key: kms.IKey
    logs_key: kms.IKey
    denies: Denies
    network: Network
    statements: Sequence[iam.PolicyStatement] = ()
    arguments: dict[str, str] = field(default_factory=dict)


class GlueJob(Construct):
    """`job` with its `role`, `security` configuration, a connection for each subnet, and its two `log_groups`."""

    job: glue.CfnJob
    role: iam.Role
    security: glue.CfnSecurityConfiguration
    security_group: ec2.SecurityGroup
    connections: Sequence[glue.CfnConnection]
    log_groups: Sequence[logs.LogGroup]

    def __init__(self, scope: Construct, construct_id: str, *, props: GlueJobProps) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        self.name = props.naming.name(JOB, limit=JOB_LIMIT)
        self.log_groups = [self._log_group(stream) for stream in ("error", "output")]
        self.security = self._security()
        self.security_group = self._security_group()
        self.connections = [
            self._connection(number, subnet, zone)
            for number, (subnet, zone) in enumerate(
                zip(props.network.private_subnet_ids, props.network.vpc.availability_zones, strict=True), 1
            )
        ]
        self.role = iam.Role(
            self,
            "Role",
            role_name=props.naming.name(ROLE, limit=ROLE_LIMIT),
            description="What the job may do",
            assumed_by=iam.ServicePrincipal("glue.amazonaws.com"),
            managed_policies=[props.denies.policy],
            inline_policies={
                "service": iam.PolicyDocument(statements=list(service_statements(self._needs()))),
                "job": iam.PolicyDocument(statements=list(props.statements)),
            },
        )
        self.job = self._job()

    def _job(self) -> glue.CfnJob:
        props, settings = self._props, self._props.settings.job
        names = [self._props.naming.name(connection(number)) for number, _ in enumerate(self.connections, 1)]
        job = glue.CfnJob(
            self,
            "Job",
            name=self.name,
            description="Runs contracts on landed batches into the lake",
            role=self.role.role_arn,
            glue_version=chosen(props.settings, "glue").version,
            command=glue.CfnJob.JobCommandProperty(
                name="glueetl", python_version="3", script_location=f"{props.release}/{SCRIPT}"
            ),
            default_arguments=self._arguments(),
            worker_type=settings.worker_type,
            # With autoscaling this is the most that a run may have; it starts with the driver and one worker.
            number_of_workers=props.plan.workers,
            execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=settings.concurrent_runs),
            timeout=settings.timeout_minutes,
            max_retries=settings.retries,
            notification_property=glue.CfnJob.NotificationPropertyProperty(
                notify_delay_after=late_minutes(settings.timeout_minutes)
            ),
            security_configuration=self.security.ref,
            connections=glue.CfnJob.ConnectionsListProperty(connections=names),
        )
        for one in self.connections:
            job.add_resource_dependency(one)
        return job

    def _arguments(self) -> dict[str, str]:
        props = self._props
        wheels = [f"{props.release}/{WHEELS}/{name}" for name in wheels_of(props.release_folder)]
        installed = {
            "--additional-python-modules": ",".join(wheels),
            # The wheels are all there is: nothing is asked of an index, which the subnets may not reach.
            "--python-modules-installer-option": "--no-index --no-deps",
        }
        return {
            "--job-language": "python",
            # What was read is known by its content, in the lake itself. Bookmarks go by time, and would skip a batch
            # that came late and read one again that was touched.
            "--job-bookmark-option": "job-bookmark-disable",
            "--enable-auto-scaling": "true",
            "--enable-metrics": "true",
            "--enable-observability-metrics": "true",
            "--enable-continuous-cloudwatch-log": "true",
            "--enable-continuous-log-filter": "true",
            "--custom-logGroup-prefix": str(Fn.sub(self._log_prefix())),
            "--enable-spark-ui": "true",
            "--spark-event-logs-path": f"s3://{props.logs_bucket.bucket_name}/{SPARK_UI}/",
            "--TempDir": f"s3://{props.scripts_bucket.bucket_name}/{TEMPORARY}/",
            **(installed if wheels else {}),
            **props.arguments,
        }

    def _needs(self) -> GlueNeeds:
        props = self._props
        return GlueNeeds(
            props.naming,
            props.scripts_bucket,
            props.logs_bucket,
            props.data_key,
            self._log_prefix(),
            self.security_group.security_group_id,
            props.network.private_subnet_ids,
        )

    def _log_prefix(self) -> str:
        return LOG_PREFIX + self._props.naming.text(JOB)

    def _log_folder(self) -> str:
        """Where a job with a security configuration that encrypts logs writes, below its prefix.

        https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
        """
        naming = self._props.naming
        return f"{self._log_prefix()}/{naming.text(SECURITY)}-role/{naming.text(ROLE, limit=ROLE_LIMIT)}"

    def _log_group(self, stream: str) -> logs.LogGroup:
        props = self._props
        return logs.LogGroup(
            self,
            f"Log{stream.capitalize()}",
            log_group_name=str(Fn.sub(f"{self._log_folder()}/{stream}")),
            encryption_key=props.logs_key,
            retention=props.lifecycle.log_retention,
            removal_policy=props.lifecycle.transient,
        )

    def _security(self) -> glue.CfnSecurityConfiguration:
        own = glue.CfnSecurityConfiguration
        data, log = self._props.data_key.key_arn, self._props.logs_key.key_arn
        return own(
            self,
            "Security",
            name=self._props.naming.name(SECURITY),
            encryption_configuration=own.EncryptionConfigurationProperty(
                s3_encryptions=[own.S3EncryptionProperty(s3_encryption_mode="SSE-KMS", kms_key_arn=data)],
                cloud_watch_encryption=own.CloudWatchEncryptionProperty(
                    cloud_watch_encryption_mode="SSE-KMS", kms_key_arn=log
                ),
                job_bookmarks_encryption=own.JobBookmarksEncryptionProperty(
                    job_bookmarks_encryption_mode="CSE-KMS", kms_key_arn=data
                ),
            ),
        )

    def _security_group(self) -> ec2.SecurityGroup:
        group = self._props.network.security_group(
            self, "Group", JOB, "Workers of the job: among themselves, and out on HTTPS"
        )
        number = group.security_group_id
        # Driver and executors choose their ports themselves; Glue refuses a connection whose group does not say so.
        own = {"ip_protocol": "tcp", "from_port": 0, "to_port": 65535, "description": "Driver and executors"}
        ec2.CfnSecurityGroupIngress(self, "FromWorkers", group_id=number, source_security_group_id=number, **own)
        ec2.CfnSecurityGroupEgress(self, "ToWorkers", group_id=number, destination_security_group_id=number, **own)
        return group

    def _connection(self, number: int, subnet: str, zone: str) -> glue.CfnConnection:
        # A run takes the first of the job's connections whose zone has room.
        own = glue.CfnConnection
        return own(
            self,
            f"Network{number}",
            catalog_id=Fn.ref("AWS::AccountId"),
            connection_input=own.ConnectionInputProperty(
                name=self._props.naming.name(connection(number)),
                description=f"Private subnet {number}",
                connection_type="NETWORK",
                physical_connection_requirements=own.PhysicalConnectionRequirementsProperty(
                    availability_zone=zone,
                    subnet_id=subnet,
                    security_group_id_list=[self.security_group.security_group_id],
                ),
            ),
        )


def late_minutes(timeout_minutes: int) -> int:
    """After how long EventBridge is told that a run is late."""
    return max(1, int(timeout_minutes * LATE_FRACTION))


def wheels_of(release: Path) -> list[str]:
    """File names of the wheels in a release, in order."""
    return sorted(path.name for path in (release / WHEELS).glob("*.whl"))
