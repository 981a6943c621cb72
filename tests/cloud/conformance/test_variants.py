"""What checks make of templates that are right in another way, or have what our blueprints lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tapehouse.cloud.conformance.checks.names import TAGGABLE
from tapehouse.cloud.conformance.registry import violations
from tapehouse.cloud.conformance.stacks import Deployment, Facts, Stacks

from .golden import golden
from .mutants import Draft


def changed(change: Callable[[Draft], None], blueprint: str = "market-stream") -> Deployment:
    draft = Draft(golden(blueprint))
    change(draft)
    return draft.deployment()


def on_demand(draft: Draft) -> None:
    for properties in draft.properties("AWS::Kinesis::Stream"):
        del properties["ShardCount"]
        properties["StreamModeDetails"] = {"StreamMode": "ON_DEMAND"}


@pytest.mark.parametrize("row", ["C34", "C36", "C38", "C47"])
def test_streams_may_be_on_demand(row: str) -> None:
    assert violations(row, changed(on_demand)) == []


def shared(draft: Draft) -> None:
    """One function reads its stream with nobody's consumer, and its alarms and widgets say so."""
    for properties in draft.properties("AWS::Lambda::EventSourceMapping"):
        if properties["EventSourceArn"] == {"Fn::GetAtt": ["Reader", "ConsumerARN"]}:
            properties["EventSourceArn"] = {"Fn::GetAtt": ["Stream", "Arn"]}


def test_shared_readers_are_watched_by_the_age_of_their_iterator() -> None:
    found = violations("C14", changed(shared))
    assert any("GetRecords.IteratorAgeMilliseconds" in one for one in found)
    assert violations("B48", changed(shared)) == []


def test_failures_of_a_function_may_go_by_its_invoke_configuration() -> None:
    def change(draft: Draft) -> None:
        for properties in draft.properties("AWS::Lambda::Function"):
            properties.pop("DeadLetterConfig", None)
        queue = {"DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Dead", "Arn"]}}}}
        for name in ("Redrive", "Scaler"):
            properties = {"FunctionName": {"Ref": name}, **queue}
            draft.add("AWS::Lambda::EventInvokeConfig", properties, beside="AWS::Lambda::Function")

    assert violations("C24", changed(change)) == []


def test_a_log_group_without_a_key_needs_no_key_policy() -> None:
    def change(draft: Draft) -> None:
        for properties in draft.properties("AWS::Logs::LogGroup"):
            properties.pop("KmsKeyId")

    assert violations("B12", changed(change)) == []


def test_a_script_outside_the_deployment_is_for_its_own_row() -> None:
    def change(draft: Draft) -> None:
        for properties in draft.properties("AWS::Glue::Job"):
            properties["Command"]["ScriptLocation"] = "s3://elsewhere/a.py"
            properties["DefaultArguments"] = {"--enable-metrics": "true"}
            properties["Connections"] = {"Connections": ["none"]}

    found = violations("B48", changed(change))
    assert found
    assert all("glue:GetConnection" in one for one in found)


def parameters(body: dict[str, Any], interface: dict[str, Any]) -> Deployment:
    template = {
        "Parameters": {"Size": body},
        "Metadata": {"AWS::CloudFormation::Interface": interface},
        "Resources": {},
    }
    stacks = Stacks({"main": template}, Facts("tape", "lake", "test", "a1"))
    return Deployment("serverless-lake", stacks, stacks)


GOOD = {"Type": "Number", "MinValue": 1, "ConstraintDescription": "at least 1"}
GROUPED = {"ParameterGroups": [{"Parameters": ["Size"]}], "ParameterLabels": {"Size": {"default": "Size"}}}


def test_parameters() -> None:
    assert violations("B43", parameters(GOOD, GROUPED)) == []
    assert violations("B44", parameters(GOOD, GROUPED)) == []
    assert violations("B43", parameters({"Type": "Number"}, GROUPED))
    assert violations("B43", parameters({**GOOD, "ConstraintDescription": ""}, GROUPED))
    assert violations("B44", parameters(GOOD, {}))
    assert violations("B44", parameters(GOOD, {**GROUPED, "ParameterLabels": {}}))


def test_every_taggable_type_that_is_used_is_known(ours: dict[str, Deployment]) -> None:
    """By the schemas of CloudFormation's resource providers, as cfn-lint ships them."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    used = {one.type for deployment in ours.values() for one in deployment.prod.all if one.type.startswith("AWS::")}
    tagged = set()
    for kind in used:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        if "Tags" in schema.get("properties", {}) and "/properties/Tags" not in schema.get("readOnlyProperties", []):
            tagged.add(kind)
    assert tagged - TAGGABLE == set()
