"""Deployments side by side, gone without trace, and made again. Last of all: it takes down what the others use."""

from __future__ import annotations

from typing import Any

import pytest

from .operator import Deployed, Operator

KEPT_BY_THE_SERVICE = ("PendingDeletion",)


def things(operator: Operator, suffix: str) -> list[str]:
    """Names of all that a deployment of that suffix made."""
    aws = operator.aws.client
    found: list[Any] = [bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]]
    found += aws("dynamodb").list_tables()["TableNames"]
    found += aws("kinesis").list_streams()["StreamNames"]
    found += [one["FunctionName"] for one in aws("lambda").list_functions()["Functions"]]
    found += [one["TopicArn"] for one in aws("sns").list_topics()["Topics"]]
    found += aws("sqs").list_queues().get("QueueUrls", [])
    found += [one["RoleName"] for one in aws("iam").list_roles()["Roles"]]
    found += [one["logGroupName"] for one in aws("logs").describe_log_groups()["logGroups"]]
    found += [one["Name"] for one in aws("glue").get_databases()["DatabaseList"]]
    found += [one["Name"] for one in aws("glue").get_jobs()["Jobs"]]
    found += [one["AlarmName"] for one in aws("cloudwatch").describe_alarms()["MetricAlarms"]]
    found += [one["DashboardName"] for one in aws("cloudwatch").list_dashboards()["DashboardEntries"]]
    found += [one["Name"] for one in aws("events").list_rules()["Rules"]]
    found += [one["AliasName"] for one in aws("kms").list_aliases()["Aliases"]]
    found += [one["Name"] for one in aws("athena").list_work_groups()["WorkGroups"]]
    ours = [name for name in found if f"-{suffix}-" in name or name.endswith((f"-{suffix}", f"_{suffix}"))]
    return sorted(name for name in ours if "probe-" not in name)


@pytest.mark.proves("L06", blueprint="serverless-lake")
def test_two_suffixes_live_side_by_side_and_go_one_by_one(operator: Operator, lake: Deployed):
    first = things(operator, lake.suffix)
    other = operator.deploy("serverless-lake", suffix="side")
    second = things(operator, "side")
    assert len(second) > 30
    assert not set(first) & set(second)
    report = operator.destroy(other)
    assert not report["retained"]
    assert things(operator, "side") == []
    assert things(operator, lake.suffix) == first


@pytest.mark.parametrize("name", ["lake", "stream"])
def test_deploying_again_changes_nothing(name: str, operator: Operator, request: pytest.FixtureRequest):
    deployed: Deployed = request.getfixturevalue(name)
    again = operator.deploy(deployed.blueprint)
    assert [stack["action"] for stack in again.report["stacks"]] == ["unchanged", "unchanged"]
    assert again.report["assets"] == 0


def test_the_commands_see_what_is_deployed(operator: Operator, lake: Deployed):
    words = ("--blueprint", lake.blueprint, "--suffix", lake.suffix)
    seen = operator.run("cloud", "outputs", *words)
    assert {key: value for stack in seen.values() for key, value in stack.items()} == lake.outputs
    same = operator.run("cloud", "diff", *words, "--assembly", str(lake.assembly))
    assert [stack["findings"] for stack in same["stacks"]] == [[], []]
    prod = operator.folder / "prod"
    operator.run("cloud", "synth", *words, "--env", "prod", "--out", str(prod))
    against = ("--against", str(lake.assembly), "--assembly", str(prod))
    other = operator.run("cloud", "diff", *words, *against)
    assert {finding["risk"] for stack in other["stacks"] for finding in stack["findings"]}


def test_another_account_than_the_settings_name_is_refused(operator: Operator, lake: Deployed):
    settings = operator.folder / "elsewhere.yaml"
    settings.write_text(operator.settings.read_text() + 'account: "999999999999"\n')
    other = Operator(operator.aws, operator.folder, settings)
    with pytest.raises(AssertionError, match="credentials are of 000000000000"):
        other.deploy("serverless-lake")


@pytest.mark.proves("L06", blueprint="serverless-lake")
def test_destroyed_with_data_in_it_nothing_is_left_and_it_can_be_made_again(operator: Operator, lake: Deployed):
    lake.aws.client("s3").put_object(Bucket=lake.outputs["CuratedBucket"], Key="lake/more", Body=b"data")
    report = operator.destroy(lake)
    assert not report["retained"]
    left = [name for name in things(operator, lake.suffix) if "-lake-" in name or "_lake_" in name]
    assert left == []
    again = operator.deploy("serverless-lake")
    assert again.outputs == lake.outputs | {name: again.outputs[name] for name in ("DataKeyArn", "LogsKeyArn", "VpcId")}
    operator.destroy(again)
    assert [name for name in things(operator, lake.suffix) if "-lake-" in name or "_lake_" in name] == []


@pytest.mark.proves("L06", blueprint="market-stream")
def test_a_stream_goes_without_trace(operator: Operator, stream: Deployed):
    report = operator.destroy(stream)
    assert not report["retained"]
    assert things(operator, stream.suffix) == []
