"""The job: release, size, encryption, network, role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.constructs.glue_job import late_minutes, wheels_of
from tapehouse.cloud.synth import synthesize

from ..deployments import main, of_type, settings_of  # noqa: TID252 - shared with other folders

SAFE = {"aws:SecureTransport": "true"}


@pytest.fixture
def job(lake: Stacks) -> Resource:
    (found,) = lake.of("AWS::Glue::Job")
    return found


def bucket(stacks: Stacks, purpose: str) -> Resource:
    (found,) = (one for one in stacks.of("AWS::S3::Bucket") if f"-{purpose}-" in one.name)
    return found


def arguments(one: Resource) -> Mapping[str, str]:
    return one.get("DefaultArguments")  # type: ignore[no-any-return]


def test_release_and_size(job: Resource) -> None:
    expected = {
        "GlueVersion": "6.0",
        "WorkerType": "G.1X",
        "NumberOfWorkers": 2,
        "Timeout": 120,
        "MaxRetries": 1,
        "ExecutionProperty": {"MaxConcurrentRuns": 3},
        "NotificationProperty": {"NotifyDelayAfter": 96},
    }
    assert {name: job.get(name) for name in expected} == expected
    assert arguments(job)["--enable-auto-scaling"] == "true"
    assert arguments(job)["--job-bookmark-option"] == "job-bookmark-disable"


def test_workers_in_production_are_the_settings_or_the_volumes(packages: Packages, tmp_path: Path) -> None:
    settings = settings_of("prod", job={"workers_max": 12, "worker_type": "G.2X", "retries": 0})
    (one,) = of_type(main(synthesize(settings, "serverless-lake", tmp_path / "out", packages)), "AWS::Glue::Job")
    assert one["Properties"]["NumberOfWorkers"] == 12
    assert one["Properties"]["WorkerType"] == "G.2X"
    assert one["Properties"]["MaxRetries"] == 0


def test_script_and_wheels_are_of_one_release(lake: Stacks, job: Resource) -> None:
    (files,) = lake.of("Custom::ReleaseFiles")
    base = f"s3://{bucket(lake, 'scripts').name}/{files.get('Prefix')}"
    assert re.fullmatch(r"releases/[0-9a-f]{64}", files.get("Prefix"))
    assert job.get("Command.ScriptLocation") == f"{base}/glue_job.py"
    assert arguments(job)["--additional-python-modules"].split(",") == [
        f"{base}/wheelhouse/polars-2.1.0-py3-none-any.whl",
        f"{base}/wheelhouse/tapehouse-0.1.0-py3-none-any.whl",
    ]
    assert arguments(job)["--python-modules-installer-option"] == "--no-index --no-deps"
    assert files.id in job.written["DependsOn"]


def test_a_release_without_wheels_installs_nothing(packages: Packages, tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    (release / "glue_job.py").write_text("")
    bare = Packages(packages.layer, packages.code, release)
    (one,) = of_type(main(synthesize(settings_of("test"), "serverless-lake", tmp_path / "out", bare)), "AWS::Glue::Job")
    assert "--additional-python-modules" not in one["Properties"]["DefaultArguments"]
    assert wheels_of(release) == []


def test_what_every_run_is_told(lake: Stacks, job: Resource) -> None:
    (table,), (topic,) = lake.of("AWS::DynamoDB::Table"), lake.of("AWS::SNS::Topic")
    told = arguments(job)
    assert told["--lake"] == f"s3://{bucket(lake, 'curated').name}/lake"
    assert told["--raw"] == f"s3://{bucket(lake, 'raw').name}/raw"
    assert told["--database"] == "tapehouse_lake_test_a1b2"
    assert told["--lineage"] == f"dynamodb://{table.name}"
    assert told["--alert"] == topic.arn
    assert told["--metrics"] == "cloudwatch:Tapehouse?Environment=test-a1b2&Pipeline=lake"
    assert told["--spark-event-logs-path"] == f"s3://{bucket(lake, 'logs').name}/spark-ui/"


def test_all_that_it_keeps_is_under_our_keys(lake: Stacks, job: Resource) -> None:
    (security,) = lake.of("AWS::Glue::SecurityConfiguration")
    assert job.get("SecurityConfiguration") in (security.ref, security.name)
    encryption = security.get("EncryptionConfiguration")
    (objects,) = encryption["S3Encryptions"]
    assert objects["S3EncryptionMode"] == "SSE-KMS"
    assert encryption["CloudWatchEncryption"]["CloudWatchEncryptionMode"] == "SSE-KMS"
    assert encryption["JobBookmarksEncryption"]["JobBookmarksEncryptionMode"] == "CSE-KMS"
    data, logs = (lake.key(one["KmsKeyArn"]) for one in (objects, encryption["CloudWatchEncryption"]))
    assert data is not None
    assert logs is not None
    assert data.id != logs.id


def test_a_connection_for_each_private_subnet(lake: Stacks, job: Resource) -> None:
    connections = lake.of("AWS::Glue::Connection")
    assert job.get("Connections.Connections") == [one.get("ConnectionInput.Name") for one in connections]
    private = {one.ref for one in lake.of("AWS::EC2::Subnet") if "Private" in one.id}
    physical = [one.get("ConnectionInput.PhysicalConnectionRequirements") for one in connections]
    assert {one["SubnetId"] for one in physical} == private
    assert len({str(one["AvailabilityZone"]) for one in physical}) == 2


def test_workers_reach_each_other_on_every_port(lake: Stacks) -> None:
    (ingress,) = (one for one in lake.of("AWS::EC2::SecurityGroupIngress") if one.get("FromPort") == 0)
    assert ingress.get("GroupId") == ingress.get("SourceSecurityGroupId")
    assert ingress.get("ToPort") == 65535
    (egress,) = lake.of("AWS::EC2::SecurityGroupEgress")
    assert egress.get("GroupId") == egress.get("DestinationSecurityGroupId") == ingress.get("GroupId")


@pytest.mark.parametrize(
    ("action", "place", "allowed"),
    [
        ("s3:GetObject", "raw:landing/trades/a.csv", True),
        ("s3:GetObject", "raw:manifests/trades/a.txt", True),
        ("s3:PutObject", "raw:manifests/trades/a.txt", False),
        ("s3:DeleteObject", "raw:landing/trades/a.csv", False),
        ("s3:PutObject", "raw:raw/ab/abc", True),
        ("s3:PutObject", "curated:lake/warehouse/t/data/a.parquet", True),
        ("s3:PutObject", "curated:archived/a", False),
        ("s3:GetObject", "scripts:releases/abc/glue_job.py", True),
        ("s3:PutObject", "scripts:releases/abc/glue_job.py", False),
        ("s3:PutObject", "logs:spark-ui/run", True),
        ("s3:PutObject", "logs:raw/forged", False),
        ("s3:GetObject", "results:queries/a.csv", False),
    ],
)
def test_objects_by_their_prefix(lake: Stacks, job: Resource, action: str, place: str, allowed: bool) -> None:
    purpose, _, key = place.partition(":")
    decision = lake.account.allows(job.get("Role"), action, f"{bucket(lake, purpose).arn}/{key}", SAFE)
    assert bool(decision) is allowed, decision


def test_tables_of_its_own_database_alone(lake: Stacks, job: Resource) -> None:
    arn = "arn:aws:glue:us-east-1:111122223333"
    own = f"{arn}:table/tapehouse_lake_test_a1b2/us_equity_trades_curated"
    assert lake.account.allows(job.get("Role"), "glue:UpdateTable", own, SAFE)
    assert not lake.account.allows(job.get("Role"), "glue:UpdateTable", f"{arn}:table/others/t", SAFE)
    assert not lake.account.allows(job.get("Role"), "glue:DeleteTable", own, SAFE)


@pytest.mark.parametrize(("namespace", "allowed"), [("Tapehouse", True), ("Glue", True), ("AWS/S3", False)])
def test_metrics_by_their_namespace(lake: Stacks, job: Resource, namespace: str, allowed: bool) -> None:
    context = {**SAFE, "cloudwatch:namespace": namespace}
    assert bool(lake.account.allows(job.get("Role"), "cloudwatch:PutMetricData", "*", context)) is allowed


def test_logs_are_groups_of_the_stack(lake: Stacks, job: Resource) -> None:
    prefix = arguments(job)["--custom-logGroup-prefix"]
    groups = {one.get("LogGroupName"): one for one in lake.of("AWS::Logs::LogGroup")}
    # A security configuration that encrypts logs puts them below its own name and the role's.
    folder = f"{prefix}/{job.get('SecurityConfiguration')}-role/{job.get('Role').rpartition('/')[2]}"
    for stream in ("error", "output"):
        group = groups[f"{folder}/{stream}"]
        assert group.removed == "Delete"
        assert lake.key(group.get("KmsKeyId")) is not None
        assert lake.account.allows(job.get("Role"), "logs:PutLogEvents", f"{group.arn}:log-stream:jr_1", SAFE)


@pytest.mark.parametrize(("timeout", "late"), [(120, 96), (5, 4), (1, 1)])
def test_a_run_is_late_before_it_is_stopped(timeout: int, late: int) -> None:
    assert late_minutes(timeout) == late
