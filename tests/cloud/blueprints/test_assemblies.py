"""Both blueprints as they are written: the same bytes each time, within limits, of no account."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnResource, Fn, Stack
from aws_cdk import aws_lambda as lambda_

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.blueprints import BLUEPRINTS
from tapehouse.cloud.blueprints.limits import ENVIRONMENT_BYTES_MAX, RESOURCES_MAX, require_room
from tapehouse.cloud.conformance.stacks import Stacks
from tapehouse.cloud.synth import synthesize
from tapehouse.errors import UsageError

from ..deployments import CONTRACTS, main, monitoring, of_type, settings_of, templates  # noqa: TID252 - shared with other folders

Assemblies = Mapping[tuple[str, str], Path]
EVERYWHERE = {
    "RawBucket", "CuratedBucket", "LogsBucket", "ScriptsBucket", "ResultsBucket", "DataKeyArn", "LogsKeyArn",
    "AlertTopicArn", "LineageTable", "Database", "Workgroup", "ObjectQueueUrl", "ObjectDlqUrl", "UndeliveredQueueUrl",
    "ObjectValidator", "RedriveFunction", "DeploymentFunction", "GlueJob", "ConsumerRoleRisk", "VpcId", "Capacity",
}  # fmt: skip
STREAMED = {
    "StreamDlqUrl", "StreamValidator", "ReservedConcurrency", "ShardScaling", "StreamConsolidatedTrades",
}  # fmt: skip


def everything(assemblies: Assemblies) -> Iterator[tuple[str, Any]]:
    for path in assemblies.values():
        yield from templates(path).items()


def contracts(folder: Path, count: int) -> list[Path]:
    """So many copies of one contract, each under a name of its own."""
    text = (CONTRACTS / "consolidated-trades.yaml").read_text("utf-8")
    paths = []
    for number in range(count):
        path = folder / f"tape-{number}.yaml"
        path.write_text(text.replace("consolidated-trades", f"tape-{number}"), "utf-8")
        paths.append(path)
    return paths


def test_two_stacks_each(assemblies: Assemblies) -> None:
    assert {tuple(templates(path)) for path in assemblies.values()} == {
        tuple(f"tapehouse-{service}{part}-{environment}-a1b2.template.json" for part in ("", "-monitoring"))
        if f"-{environment}" < "-monitoring"
        else tuple(f"tapehouse-{service}{part}-{environment}-a1b2.template.json" for part in ("-monitoring", ""))
        for service in ("stream", "lake")
        for environment in ("test", "prod")
    }


@pytest.mark.parametrize("blueprint", BLUEPRINTS)
def test_synthesized_again_they_are_the_same_bytes(
    blueprint: str, assemblies: Assemblies, packages: Packages, tmp_path: Path
) -> None:
    started = time.perf_counter()
    again = synthesize(settings_of("test"), blueprint, tmp_path / "again", packages)
    assert time.perf_counter() - started < 12
    first = assemblies[blueprint, "test"]
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert names == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    digests = [{name: hashlib.sha256((root / name).read_bytes()).digest() for name in names} for root in (first, again)]
    assert digests[0] == digests[1]


def test_no_stack_imports_what_another_exports(assemblies: Assemblies) -> None:
    for name, template in everything(assemblies):
        assert "Fn::ImportValue" not in json.dumps(template), name
        assert not template.get("Parameters", {}).get("BootstrapVersion"), name


def test_templates_are_of_no_account_region_or_partition(assemblies: Assemblies) -> None:
    for name, template in everything(assemblies):
        text = json.dumps(template)
        assert "eu-central-1" not in text, name
        assert "arn:aws" not in text, name
        assert set(re.findall(r"(?<![\w.-])\d{12}(?!\w)", text)) <= {"444455556666"}, name


def test_every_output_has_its_export_name(assemblies: Assemblies) -> None:
    for (blueprint, environment), path in assemblies.items():
        service = BLUEPRINTS[blueprint].service
        outputs = main(path)["Outputs"]
        assert set(outputs) == EVERYWHERE | (STREAMED if service == "stream" else set())
        assert set(monitoring(path)["Outputs"]) == {"Dashboard", "OperationsDashboard"}
        for key, output in (*outputs.items(), *monitoring(path)["Outputs"].items()):
            assert output["Export"]["Name"] == f"tapehouse-{service}-{environment}-a1b2-{key}"
            assert output["Description"]


def test_capacity_is_told_with_its_arithmetic(assemblies: Assemblies) -> None:
    told = main(assemblies["market-stream", "prod"])["Outputs"]["Capacity"]["Value"]
    assert "peak input" in told
    assert "volume / 86400 s x peak factor 3" in told
    reserved = main(assemblies["market-stream", "prod"])["Outputs"]["ReservedConcurrency"]["Value"]
    assert reserved == "1 = shards x parallelization = 1 x 1"


def test_twenty_contracts_fit(packages: Packages, tmp_path: Path) -> None:
    settings = settings_of("test", contracts=contracts(tmp_path, 20))
    path = synthesize(settings, "market-stream", tmp_path / "out", packages)
    for name, template in templates(path).items():
        assert len(template["Resources"]) <= 500, name
        assert (path / name).stat().st_size < 1_000_000, name
    assert len(list(of_type(monitoring(path), "AWS::CloudWatch::CompositeAlarm"))) == 21


def test_too_many_resources_are_refused_with_the_way_out() -> None:
    stack = Stack(App(analytics_reporting=False), "Main")
    for number in range(RESOURCES_MAX):
        CfnResource(stack, f"One{number}", type="AWS::SNS::Topic")
    require_room(stack)
    CfnResource(stack, "Last", type="AWS::SNS::Topic")
    with pytest.raises(UsageError, match="501 resources, and CloudFormation takes 500") as refused:
        require_room(stack)
    assert "two deployments" in refused.value.fix


def function_with(stack: Stack, name: str, variables: dict[str, Any]) -> None:
    properties = {"environment": {"variables": variables}, "code": {"zipFile": "-"}, "role": "arn"}
    lambda_.CfnFunction(stack, name, **properties)


def test_an_environment_that_lambda_would_not_take_is_refused_with_the_way_out() -> None:
    stack = Stack(App(analytics_reporting=False), "Main")
    function_with(stack, "Full", {"A": "x" * (ENVIRONMENT_BYTES_MAX - 1)})
    require_room(stack)
    function_with(stack, "Over", {"A": Fn.sub("x" * 4_000), "B": Fn.join("-", ["y" * 50, Fn.ref("AWS::Region")])})
    with pytest.raises(UsageError, match=r"function Main/Over would have 4,203 bytes, and Lambda takes 4,096") as told:
        require_room(stack)
    assert "two deployments" in told.value.fix


def test_without_a_dataset_of_lines_there_is_no_stream_to_make(packages: Packages, tmp_path: Path) -> None:
    settings = settings_of("test", contracts=[CONTRACTS / "us-equity-trades.yaml"])
    with pytest.raises(UsageError, match="us_equity_trades can arrive in a stream") as refused:
        synthesize(settings, "market-stream", tmp_path / "out", packages)
    assert "serverless-lake" in refused.value.fix


def test_a_contract_more_is_a_dataset_more_everywhere(
    assemblies: Assemblies, packages: Packages, tmp_path: Path
) -> None:
    """Tables, stream, what the validator knows, alarms, a row of the dashboard."""
    names = ("consolidated-trades", "us-equity-trades", "daily-bars", "synthetic-quotes")
    settings = settings_of("test", contracts=[CONTRACTS / f"{name}.yaml" for name in names])
    more = synthesize(settings, "market-stream", tmp_path / "out", packages)
    before, after = (Stacks.read(path, None) for path in (assemblies["market-stream", "test"], more))  # type: ignore[arg-type]

    def added(kind: str) -> set[str]:
        return {one.id for one in after.of(kind)} - {one.id for one in before.of(kind)}

    assert any("SyntheticQuotesCurated" in one for one in added("Custom::IcebergTable"))
    assert len(added("AWS::Kinesis::Stream")) == len(added("AWS::Lambda::EventSourceMapping")) == 1
    # A second shard makes a second execution, so that there is a share of them to watch.
    assert {one for one in added("AWS::CloudWatch::Alarm") if not one.startswith("SyntheticQuotes")} == {
        "StreamValidatorBusy"
    }
    assert len(added("AWS::CloudWatch::Alarm")) >= 12
    (validator,) = (one for one in after.of("AWS::Lambda::Function") if "stream_validator" in one.get("Handler"))
    assert "synthetic_quotes" in json.loads(validator.get("Environment.Variables.TAPEHOUSE_STREAMS")).values()
    boards = [one.get("DashboardBody") for one in after.of("AWS::CloudWatch::Dashboard")]
    assert any("Dataset synthetic_quotes" in board for board in boards)


def test_streams_on_demand_need_nothing_that_widens_them(packages: Packages, tmp_path: Path) -> None:
    settings = settings_of("test", stream={"mode": "on_demand"})
    template = main(synthesize(settings, "market-stream", tmp_path / "out", packages))
    for one in of_type(template, "AWS::Kinesis::Stream"):
        assert one["Properties"]["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
        assert "ShardCount" not in one["Properties"]
    assert "ShardScaling" not in template["Outputs"]
    assert not any(
        "shard_scaling" in one["Properties"]["Handler"] for one in of_type(template, "AWS::Lambda::Function")
    )
