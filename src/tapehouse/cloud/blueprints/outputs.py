"""What a stack tells: outputs with export names that nothing of ours imports."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import CfnOutput

from tapehouse.cloud.blueprints.pipeline import PipelineStack
from tapehouse.cloud.capacity.plan import Plan


def put_outputs(stack: PipelineStack, more: Iterator[tuple[str, str, str]]) -> None:
    """The common outputs, then `more` of them: key, value, description."""
    for key, value, description in (*_common(stack), *more):
        CfnOutput(stack, key, value=value, description=description, export_name=stack.naming.export(key))


def _common(stack: PipelineStack) -> Iterator[tuple[str, str, str]]:
    storage = stack.storage
    yield "RawBucket", storage.raw.bucket_name, "Files as they came"
    yield "CuratedBucket", storage.curated.bucket_name, "Tables of the lake"
    yield "LogsBucket", storage.logs.bucket_name, "Access logs and Spark event logs"
    yield "ScriptsBucket", storage.scripts.bucket_name, "Releases"
    yield "ResultsBucket", storage.results.bucket_name, "Results of queries"
    yield "DataKeyArn", stack.encryption.data.key_arn, "Key of all data"
    yield "LogsKeyArn", stack.encryption.logs.key_arn, "Key of log groups"
    yield "AlertTopicArn", stack.alerts.topic.topic_arn, "Where alerts are sent"
    yield "LineageTable", stack.lineage.table.table_name, "An item for each content of each dataset"
    yield "Database", stack.catalogue.database_name, "Glue database of the tables"
    yield "Workgroup", stack.catalogue.workgroup.name, "Athena workgroup for queries of the tables"
    yield "ObjectQueueUrl", stack.objects.queue.queue.queue_url, "Objects to be validated"
    yield "ObjectDlqUrl", stack.objects.queue.dead_letters.queue_url, "Objects given up"
    yield "UndeliveredQueueUrl", stack.objects.undelivered.queue_url, "Other events that could not be delivered"
    yield "ObjectValidator", stack.objects.validator.function.function_name, "Validates objects and starts runs"
    yield "DeploymentFunction", stack.deployment.function.function_name, "Custom resources"
    yield "GlueJob", stack.job.job.ref, "Runs contracts"
    yield "VpcId", stack.network.vpc_id, "Where functions and job run"
    yield "Capacity", capacity_text(stack.plan), "What the sizes were computed from"
    for name, role in stack.consumers.roles.items():
        yield f"ConsumerRole{name.capitalize()}", role.role_arn, f"Role that {name} takes to read"


def capacity_text(plan: Plan) -> str:
    """The plan's arithmetic on one line."""
    return "; ".join(f"{one.name} = {one.value:,.6g} {one.unit} ({one.formula})" for one in plan.lines)
