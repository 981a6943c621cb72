"""The function behind custom resources: what it may do, and in which order things come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aws_cdk import aws_s3 as s3

from tapehouse.cloud.constructs.denies import Denies, DeniesProps
from tapehouse.cloud.constructs.deployment import Deployment, DeploymentProps
from tapehouse.cloud.constructs.encryption import Encryption, EncryptionProps
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.errors import UsageError
from tapehouse.handlers.permissions import PERMISSIONS, On

from .whole import Template, Whole, empty_stack, settings_of, template_of

ROLE = "tapehouse-lake-deployment-test-x1a2-eu-central-1"
CUSTOM = ("Custom::S3AutoDeleteObjects", "Custom::ReleaseFiles", "Custom::IcebergTable")


def bucket(purpose: str) -> str:
    return f"arn:aws:s3:::tapehouse-lake-{purpose}-test-x1a2-111122223333-eu-central-1"


def may(found: Whole, action: str, resource: str) -> bool:
    return bool(found.template.account.allows(ROLE, action, resource, {"aws:SecureTransport": "true"}))


def test_one_function_answers_all_custom_resources(in_test: Whole) -> None:
    tokens = {one["Properties"]["ServiceToken"] for kind in CUSTOM for one in in_test.template.of(kind).values()}
    assert tokens == {in_test.template.arn("AWS::Lambda::Function", FunctionName=ROLE)}


def test_the_function_has_its_own_role_log_group_and_bounds(in_test: Whole) -> None:
    function = in_test.template.one("AWS::Lambda::Function")
    assert function["Handler"] == "tapehouse.handlers.deployment.handler"
    assert function["Runtime"] == "python3.14"
    assert function["ReservedConcurrentExecutions"] == 5
    assert function["LoggingConfig"] == {"LogGroup": f"/aws/lambda/{ROLE}"}
    assert "Layers" not in function
    assert "VpcConfig" not in function


@pytest.mark.parametrize(("where", "days"), [("in_test", 7), ("in_prod", 365)])
def test_what_it_tells_is_encrypted_and_kept_for_a_time(where: str, days: int, request: pytest.FixtureRequest) -> None:
    found: Whole = request.getfixturevalue(where)
    groups = found.template.of("AWS::Logs::LogGroup").values()
    (group,) = [one for one in groups if "/aws/lambda/" in one["Properties"]["LogGroupName"]]
    assert group["Properties"]["RetentionInDays"] == days
    assert group["Properties"]["KmsKeyId"] == found.template.logs_key
    assert group["DeletionPolicy"] == "Delete"


def places(found: Whole) -> dict[On, str]:
    """An ARN of each kind that the handler's calls are on."""
    (release,) = found.template.of("Custom::ReleaseFiles").values()
    return {
        On.EMPTIED_BUCKET: bucket("raw"),
        On.EMPTIED_OBJECTS: f"{bucket('logs')}/x",
        On.ASSET_OBJECTS: f"{bucket('assets')}/{release['Properties']['SourceKey']}",
        On.RELEASE_BUCKET: bucket("scripts"),
        On.RELEASE_OBJECTS: f"{bucket('scripts')}/releases/abc/job.py",
        On.TABLE_BUCKET: bucket("curated"),
        On.TABLE_OBJECTS: f"{bucket('curated')}/lake/warehouse/a/b/metadata/0.json",
        On.GLUE_TABLES: "arn:aws:glue:eu-central-1:111122223333:table/tapehouse_lake_test_x1a2/tapehouse_runs",
        On.DATA_KEY: found.template.data_key,
    }


@pytest.mark.parametrize(("action", "on"), PERMISSIONS["deployment"])
def test_it_may_do_what_its_handler_does(in_test: Whole, action: str, on: On) -> None:
    context = {
        "aws:SecureTransport": "true",
        "kms:CallerAccount": "111122223333",
        "kms:ViaService": "s3.eu-central-1.amazonaws.com",
    }
    assert in_test.template.account.allows(ROLE, action, places(in_test)[on], context)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:PutObject", f"{bucket('raw')}/landing/x"),
        ("s3:GetObject", f"{bucket('raw')}/landing/x"),
        ("s3:PutObject", f"{bucket('curated')}/other/x"),
        ("s3:ListBucket", bucket("raw")),
        ("s3:DeleteBucket", bucket("raw")),
        ("s3:PutBucketPolicy", bucket("raw")),
        ("glue:DeleteTable", "arn:aws:glue:eu-central-1:111122223333:table/somebody_elses/table"),
        ("glue:DeleteDatabase", "arn:aws:glue:eu-central-1:111122223333:database/tapehouse_lake_test_x1a2"),
    ],
)
def test_it_may_do_nothing_else(in_test: Whole, action: str, resource: str) -> None:
    assert not may(in_test, action, resource)


def test_in_production_it_deletes_nothing_but_releases(in_prod: Whole) -> None:
    account, role = in_prod.template.account, ROLE.replace("test", "prod")
    for purpose in ("raw", "results", "logs"):
        resource = f"{bucket(purpose).replace('test', 'prod')}/x"
        assert not account.allows(role, "s3:DeleteObjectVersion", resource, {"aws:SecureTransport": "true"})


@pytest.mark.parametrize("kind", CUSTOM)
def test_permissions_come_before_and_go_after_what_needs_them(in_test: Whole, kind: str) -> None:
    policies = in_test.template.of("AWS::IAM::Policy")
    for one in in_test.template.of(kind).values():
        assert any(name in policies for name in one["DependsOn"])
        assert one["Properties"]["ServiceTimeout"] == "1200"


def test_a_bucket_is_emptied_while_its_policy_still_holds(in_test: Whole) -> None:
    policies = {one["Properties"]["Bucket"]: name for name, one in in_test.template.of("AWS::S3::BucketPolicy").items()}
    for one in in_test.template.of("Custom::S3AutoDeleteObjects").values():
        assert policies[one["Properties"]["Bucket"]] in one["DependsOn"]


def test_the_function_has_its_permissions_when_it_is_made(in_test: Whole) -> None:
    (function,) = in_test.template.of("AWS::Lambda::Function").values()
    assert any(name in in_test.template.of("AWS::IAM::Policy") for name in function["DependsOn"])


def test_a_release_lies_under_the_hash_of_its_content(in_test: Whole) -> None:
    release = in_test.template.one("Custom::ReleaseFiles")
    digest = release["SourceKey"].rpartition("/")[2].removesuffix(".zip")
    assert len(digest) == 64
    assert release["Prefix"] == f"releases/{digest}"
    assert in_test.release.endswith(f"/releases/{digest}")
    assert list(in_test.deployment.releases) == ["Release"]


def alone(tmp_path: Path) -> tuple[Deployment, s3.Bucket]:
    settings = settings_of("test")
    naming, lifecycle = Naming.of(settings, "lake"), Lifecycle.of(settings)
    (tmp_path / "main.py").write_text("")
    stack = empty_stack(naming)
    keys = Encryption(stack, "Encryption", props=EncryptionProps(naming, lifecycle))
    denies = Denies(stack, "Denies", props=DeniesProps(naming, [keys.data.key_arn], ["arn:aws:s3:::any/*"]))
    props = DeploymentProps(naming, lifecycle, tmp_path, "python3.14", keys.data, keys.logs, denies)
    return Deployment(stack, "Deployment", props=props), s3.Bucket(stack, "Plain")


def test_buckets_without_a_policy_are_served_too(tmp_path: Path) -> None:
    deployment, plain = alone(tmp_path)
    deployment.empty_on_delete(plain)
    deployment.release("Release", tmp_path, plain)
    template: Template = template_of(deployment.node.scope)
    for kind in ("Custom::S3AutoDeleteObjects", "Custom::ReleaseFiles"):
        (one,) = template.of(kind).values()
        found: dict[str, Any] = template.of("AWS::IAM::Policy")
        assert [name in found for name in one["DependsOn"]] == [True]


def test_a_table_needs_to_be_admitted_first(tmp_path: Path) -> None:
    deployment, _ = alone(tmp_path)
    with pytest.raises(UsageError, match="call admit_tables first"):
        deployment.iceberg_table(deployment, "Table", {})


def test_a_release_stays_when_the_next_takes_its_place(in_prod: Whole) -> None:
    (release,) = in_prod.template.of("Custom::ReleaseFiles").values()
    assert release["UpdateReplacePolicy"] == "Retain"
    assert release.get("DeletionPolicy", "Delete") == "Delete"
