"""Tags on everything."""

from __future__ import annotations

from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3

from tapehouse.cloud.tags import apply_tags, tags_of

from .constructs.whole import settings_of, template_of

WANTED = {
    "Application": "tapehouse",
    "Blueprint": "serverless-lake",
    "CostCenter": "4711",
    "DataClassification": "restricted",
    "Environment": "test-x1a2",
    "Owner": "tape-desk",
}


def test_tags_are_the_settings() -> None:
    assert tags_of(settings_of("test", data_classification="restricted"), "serverless-lake") == WANTED


def test_they_are_on_whatever_can_be_tagged() -> None:
    stack = Stack(App(analytics_reporting=False), "Main")
    s3.CfnBucket(stack, "Bucket")
    apply_tags(stack, settings_of("test", data_classification="restricted"), "serverless-lake")
    found = template_of(stack).one("AWS::S3::Bucket")["Tags"]
    assert {one["Key"]: one["Value"] for one in found} == WANTED
