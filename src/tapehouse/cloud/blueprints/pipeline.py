"""What every blueprint with a lake has: keys, buckets, network, catalogue, job, and the way of files into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from tapehouse.cloud.blueprint import Packages, synthesizer
from tapehouse.cloud.blueprints.access import Access
from tapehouse.cloud.capacity.plan import Plan, plan
from tapehouse.cloud.constructs.ageing import raw_days_of
from tapehouse.cloud.constructs.alerts import Alerts, AlertsProps
from tapehouse.cloud.constructs.arns import bucket_arn
from tapehouse.cloud.constructs.catalogue import Catalogue, CatalogueProps
from tapehouse.cloud.constructs.consumers import Consumers, ConsumersProps
from tapehouse.cloud.constructs.denies import Denies, DeniesProps
from tapehouse.cloud.constructs.deployment import Deployment, DeploymentProps
from tapehouse.cloud.constructs.encryption import Encryption, EncryptionProps
from tapehouse.cloud.constructs.functions import FunctionPlatform, FunctionPlatformProps
from tapehouse.cloud.constructs.glue_job import JOB, JOB_LIMIT, GlueJob, GlueJobProps
from tapehouse.cloud.constructs.lineage_table import LineageTable, LineageTableProps
from tapehouse.cloud.constructs.network import Network, NetworkProps
from tapehouse.cloud.constructs.object_ingest import ObjectIngest, ObjectIngestProps
from tapehouse.cloud.constructs.storage import DATA_PURPOSES, Storage, StorageProps
from tapehouse.cloud.datasets import Dataset, datasets_of, names_of, streamed_names
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.monitoring import job_events
from tapehouse.cloud.monitoring.alarms import AlarmFactory
from tapehouse.cloud.monitoring.gateways import gateway_watches
from tapehouse.cloud.monitoring.metrics import NAMESPACE, REQUESTS, Metrics
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.releases.catalogue import chosen
from tapehouse.cloud.settings import Settings
from tapehouse.cloud.tags import apply_tags


@dataclass(frozen=True, slots=True)
class PipelineProps:
    """`blueprint` and `service` are those of the registry; `endpoints` the services that get an interface endpoint,
    `rules` the purposes of the rules that it has besides those of every pipeline.
    """

    settings: Settings
    packages: Packages
    blueprint: str
    service: str
    summary: str
    streamed: bool
    endpoints: Sequence[str]
    rules: Sequence[str] = ()


class PipelineStack(Stack):
    """The stack of a deployment. Everything in it can be reached from an attribute."""

    settings: Settings
    naming: Naming
    lifecycle: Lifecycle
    datasets: tuple[Dataset, ...]
    plan: Plan
    encryption: Encryption
    denies: Denies
    deployment: Deployment
    storage: Storage
    network: Network
    lineage: LineageTable
    alerts: Alerts
    catalogue: Catalogue
    platform: FunctionPlatform
    release: str
    """s3:// address of the files that jobs read."""
    access: Access
    job: GlueJob
    objects: ObjectIngest
    consumers: Consumers
    gateway_alarms: tuple[cloudwatch.CfnAlarm, ...]
    """Two for each NAT gateway; none in an existing network."""

    def __init__(self, scope: Construct, construct_id: str, *, props: PipelineProps) -> None:
        settings = props.settings
        self.naming = Naming.of(settings, props.service)
        self.lifecycle = Lifecycle.of(settings)
        super().__init__(
            scope,
            construct_id,
            stack_name=self.naming.stack(),
            description=f"{settings.application} {props.blueprint}: {props.summary}",
            synthesizer=synthesizer(self.naming),
            termination_protection=self.lifecycle.deletion_protection,
        )
        self.settings = settings
        self.datasets = datasets_of(settings)
        streamed = streamed_names(self.datasets, streamed=props.streamed)
        self.plan = plan(settings, names_of(self.datasets), streamed=streamed)
        self._keep(props)
        self._describe(props)
        self._run(props)
        self.consumers = Consumers(
            self,
            "Consumers",
            props=ConsumersProps(
                self.naming, settings.consumers, self.storage.curated, self.encryption.data, self.denies
            ),
        )
        self.gateway_alarms = self._gateway_alarms()
        apply_tags(self, settings, props.blueprint)

    def environment(self) -> dict[str, str]:
        """Variables of every handler of data."""
        return {
            "TAPEHOUSE_ENVIRONMENT": self.settings.label,
            "TAPEHOUSE_PIPELINE": self.naming.service,
            "TAPEHOUSE_RAW_BUCKET": self.storage.raw.bucket_name,
            "TAPEHOUSE_LINEAGE_TABLE": self.lineage.table.table_name,
            "TAPEHOUSE_ALERT_TOPIC_ARN": self.alerts.topic.topic_arn,
            "TAPEHOUSE_KEY_ARN": self.encryption.data.key_arn,
            "TAPEHOUSE_CONTRACTS": "contracts",
        }

    def starting(self) -> dict[str, str]:
        """Variables of the handler that starts runs."""
        return {
            "TAPEHOUSE_GLUE_JOB": self.naming.name(JOB, limit=JOB_LIMIT),
            "TAPEHOUSE_RELEASE": self.release,
            **self.ending(),
        }

    def ending(self) -> dict[str, str]:
        """For how long a content's run may say nothing: all attempts of a run, and an hour in which they begin."""
        job = self.settings.job
        return {
            "TAPEHOUSE_STARTED_SECONDS": str(job.timeout_minutes * 60 * (job.retries + 1) + 3_600),
            "TAPEHOUSE_LANDED": f"s3://{self.storage.raw.bucket_name}/landing/",
        }

    def _keep(self, props: PipelineProps) -> None:
        """Keys, and what they encrypt."""
        naming, lifecycle, settings = self.naming, self.lifecycle, self.settings
        self.encryption = Encryption(self, "Encryption", props=EncryptionProps(naming, lifecycle, settings.consumers))
        data, log = self.encryption.data, self.encryption.logs
        uploads = [bucket_arn(naming, purpose, "*") for purpose in DATA_PURPOSES]
        self.denies = Denies(self, "Denies", props=DeniesProps(naming, [data.key_arn, log.key_arn], uploads))
        runtime = chosen(settings, "lambda-python").version
        self.deployment = Deployment(
            self,
            "Deployment",
            props=DeploymentProps(naming, lifecycle, props.packages.code, runtime, data, log, self.denies),
        )
        self.storage = Storage(
            self,
            "Storage",
            props=StorageProps(
                naming, lifecycle, data, self.deployment, raw_days_of(one.contract for one in self.datasets)
            ),
        )
        for bucket in self.storage.all:
            bucket.add_metric(id=REQUESTS)
        self.lineage = LineageTable(self, "Lineage", props=LineageTableProps(naming, lifecycle, data))
        self.alerts = Alerts(self, "Alerts", props=AlertsProps(naming, lifecycle, data, settings.alert_emails))

    def _describe(self, props: PipelineProps) -> None:
        """The network, and the tables."""
        self.network = Network(
            self,
            "Network",
            props=NetworkProps(
                self.settings.network, self.naming, self.lifecycle, self.encryption.logs, props.endpoints
            ),
        )
        storage = self.storage
        self.catalogue = Catalogue(
            self,
            "Catalogue",
            props=CatalogueProps(
                self.naming,
                self.lifecycle,
                self.datasets,
                storage.raw,
                storage.curated,
                storage.results,
                self.encryption.data,
                self.deployment,
            ),
        )

    def _run(self, props: PipelineProps) -> None:
        """The job, and what starts it."""
        data, log = self.encryption.data, self.encryption.logs
        self.platform = FunctionPlatform(
            self,
            "Functions",
            props=FunctionPlatformProps(
                self.settings, self.naming, self.lifecycle, props.packages, data, log, self.network, self.denies
            ),
        )
        self.release = self.deployment.release("Release", props.packages.release, self.storage.scripts)
        self.access = Access(
            raw=self.storage.raw,
            curated=self.storage.curated,
            scripts=self.storage.scripts,
            table=self.lineage.table,
            topic=self.alerts.topic,
            key=data,
            job=self.naming.text(JOB, limit=JOB_LIMIT),
            database=self.catalogue.database_name,
        )
        self.job = self._job(props)
        # A run that begins finds its script.
        self.job.job.node.add_dependency(self.deployment.node.find_child("Release"))
        self.encryption.admit_directly(self.job.role)
        self.objects = ObjectIngest(
            self,
            "Objects",
            platform=self.platform,
            props=ObjectIngestProps(
                naming=self.naming,
                lifecycle=self.lifecycle,
                raw_bucket=self.storage.raw,
                key=data,
                concurrency=self.plan.object_concurrency,
                rules=(job_events.FAILED, job_events.LATE, *props.rules),
                environment={**self.environment(), **self.starting()},
                statements=self.access.handler("object_validator"),
            ),
        )

    def _gateway_alarms(self) -> tuple[cloudwatch.CfnAlarm, ...]:
        made = () if self.network.made is None else self.network.made.public.nat_gateways
        factory = AlarmFactory(self, self.naming, self.alerts.topic.topic_arn)
        watches = gateway_watches(Metrics(self.settings.label, self.naming.service), [one.ref for one in made])
        return tuple(factory.make(watch) for watch in watches)

    def _job(self, props: PipelineProps) -> GlueJob:
        return GlueJob(
            self,
            "Glue",
            props=GlueJobProps(
                settings=self.settings,
                naming=self.naming,
                lifecycle=self.lifecycle,
                plan=self.plan,
                release=self.release,
                release_folder=props.packages.release,
                scripts_bucket=self.storage.scripts,
                logs_bucket=self.storage.logs,
                data_key=self.encryption.data,
                logs_key=self.encryption.logs,
                denies=self.denies,
                network=self.network,
                statements=self.access.job_statements(),
                arguments=self._arguments(),
            ),
        )

    def _arguments(self) -> dict[str, str]:
        """Of every run; --contract and --input come with each."""
        label = self.settings.label
        return {
            "--lake": self.catalogue.lake_uri,
            "--raw": f"s3://{self.storage.raw.bucket_name}/raw",
            "--database": self.catalogue.database_name,
            "--lineage": f"dynamodb://{self.lineage.table.table_name}",
            "--alert": self.alerts.topic.topic_arn,
            "--metrics": f"cloudwatch:{NAMESPACE}?Environment={label}&Pipeline={self.naming.service}",
        }
