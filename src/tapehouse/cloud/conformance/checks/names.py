"""Physical names and tags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import ALARM, BUCKET, FUNCTION, JOB, QUEUE, ROLE, RULE, STREAM, TABLE, TOPIC
from tapehouse.cloud.policy.physical import SHAPES

# Types whose name an operator sees in consoles, bills and alarms: a name that CloudFormation makes tells nothing there.
NAMED = (
    BUCKET,
    FUNCTION,
    JOB,
    QUEUE,
    STREAM,
    TABLE,
    TOPIC,
    RULE,
    ALARM,
    ROLE,
    "AWS::CloudWatch::Dashboard",
)
# Property with the name, of types whose ARN the evaluator need not know.
_OTHER_NAMES = {
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::Glue::Connection": "ConnectionInput.Name",
    "AWS::Lambda::Alias": "Name",
}
# Catalogues of Glue and Athena belong to a region, and know underscores only.
_IDENTIFIERS = ("AWS::Glue::Database", "AWS::Glue::Table", "AWS::Athena::WorkGroup")
# A table's name is the dataset's: it stands in a database that carries the environment.
_FREE = ("AWS::Glue::Table",)
TAGS = ("Environment", "Application", "Owner", "CostCenter", "DataClassification")
TAGGED_AS_MAP = ("AWS::Glue::Connection", "AWS::Glue::Job", "AWS::SSM::Parameter", "AWS::Glue::Trigger")
# Of the types that deployments here use, those whose tags CloudFormation sets. A test compares this with the schemas.
TAGGABLE = frozenset(
    {
        "AWS::Athena::WorkGroup",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::DynamoDB::Table",
        "AWS::EC2::EIP",
        "AWS::EC2::FlowLog",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::NatGateway",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::Subnet",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCEndpoint",
        "AWS::Events::Rule",
        "AWS::Glue::Connection",
        "AWS::Glue::Job",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Kinesis::StreamConsumer",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::StepFunctions::StateMachine",
    }
)


def declared_name(one: Resource) -> str | None:
    """The physical name that a template gives; None where CloudFormation makes one, or the type has none."""
    prop = _OTHER_NAMES.get(one.type) or (SHAPES[one.type].prop if one.type in SHAPES else "")
    value = one.get(prop) if prop else None
    return str(value) if value else None


def _bare(one: Resource, name: str) -> list[str]:
    """Without what a service demands around the name: alias/ before it, the path that a log group has."""
    return name.split("/") if one.type in ("AWS::KMS::Alias", "AWS::Logs::LogGroup") else [name]


def _grammar(stacks: Stacks, one: Resource) -> str:
    facts = stacks.facts
    if one.type in _IDENTIFIERS:
        return rf"{facts.application}_{facts.service}(_[a-z0-9_]+)?_{facts.environment}_{facts.suffix}"
    account = rf"-{stacks.place.account}" if one.type == BUCKET else ""
    head = rf"{facts.application}-{facts.service}-[a-z0-9]+(-[a-z0-9]+)*"
    return rf"{head}-{facts.environment}-{facts.suffix}{account}-{re.escape(stacks.place.region)}"


@check("C32", "L11")
def names_have_one_grammar(stacks: Stacks) -> Iterator[str]:
    """application-service-purpose-environment-suffix-region, and the account in names of buckets."""
    found = [(one, name) for one in stacks.all if (name := declared_name(one)) and one.type not in _FREE]
    yield from absent(found, "physical name")
    for one, name in found:
        if not any(re.fullmatch(_grammar(stacks, one), part) for part in _bare(one, name)):
            yield f"{one}: its name {name!r} is not application-service-purpose-environment-suffix-region"


@check("L11")
def what_people_see_is_named(stacks: Stacks) -> Iterator[str]:
    for one in stacks.of(*NAMED):
        if declared_name(one) is None:
            yield f"{one}: has no name of ours"


@check("B34")
def buckets_are_the_worlds_and_templates_are_nobodys(stacks: Stacks) -> Iterator[str]:
    """Account and region by pseudo parameter: in each bucket's name, and as a literal nowhere.

    Accounts of others (a consumer's) are settings, and stay literal in policies.
    """
    yield from absent(stacks.of(BUCKET), "bucket")
    for bucket in stacks.of(BUCKET):
        written = json.dumps(bucket.written["Properties"].get("BucketName", ""))
        for pseudo in ("AWS::AccountId", "AWS::Region"):
            if pseudo not in written:
                yield f"{bucket}: {pseudo} is not in its name"
        if len(bucket.name) + 14 - len(stacks.place.region) > 63:
            yield f"{bucket}: its name is too long where the region's name is"
    yield from _literals(stacks, r"(?<![\w.-])(?:us|eu|ap|sa|ca|me|af|il|mx)-(?:gov-)?[a-z]+-\d(?![\w])", "region")
    yield from _literals(stacks, r"arn:[^:\"]*:[a-z0-9-]+:[^:\"]*:\d{12}:(?!root)", "account")


@check("B42")
def partitions_are_pseudo_parameters(stacks: Stacks) -> Iterator[str]:
    yield from absent(stacks.all, "resource")
    yield from _literals(stacks, r"arn:aws(?:-cn|-us-gov)?:", "partition")


def _literals(stacks: Stacks, pattern: str, what: str) -> Iterator[str]:
    for stack, template in stacks.templates.items():
        for logical_id, body in _bodies(template):
            # A pseudo parameter within an ARN holds colons of its own.
            found = re.search(pattern, re.sub(r"\$\{[^}]*\}", "any", json.dumps(body)))
            if found:
                yield f"{stack}.{logical_id}: literal {what} in {found.group(0)!r}"


def _bodies(template: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for part in ("Resources", "Outputs", "Conditions", "Mappings"):
        for logical_id, body in template.get(part, {}).items():
            yield logical_id, {key: value for key, value in body.items() if key != "Metadata"}


@check("C33")
def everything_is_tagged(stacks: Stacks) -> Iterator[str]:
    found = [one for one in stacks.all if one.type in TAGGABLE]
    yield from absent(found, "taggable resource")
    for one in found:
        tags = _tags(one)
        missing = [name for name in TAGS if not tags.get(name)]
        if missing:
            yield f"{one}: without tags {', '.join(missing)}"
        elif tags["Environment"] != stacks.facts.label:
            yield f"{one}: tag Environment is {tags['Environment']!r}, not {stacks.facts.label!r}"


def _tags(one: Resource) -> Mapping[str, str]:
    tags = one.get("Tags") or {}
    return tags if isinstance(tags, Mapping) else {str(tag.get("Key")): str(tag.get("Value")) for tag in tags}
