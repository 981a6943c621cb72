"""Reading what synthesis wrote, and what is said when it is damaged."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from tapehouse.cloud.deploy.archives import write_zip
from tapehouse.cloud.deploy.assembly import TEMPLATE_BYTES_MAX, Assembly
from tapehouse.cloud.deploy.errors import AssemblyError, StackFailedError, way_out
from tapehouse.cloud.deploy.target import Target

from .assemblies import Writer, queue


def test_stacks_come_after_what_they_depend_on(writer: Writer) -> None:
    writer.stack("watch", {"Q": queue("w")}, needs=("main",), stackName="tape-watch", environment="aws://1/eu-west-1")
    writer.stack("main", {"Q": queue("m")}, needs=("base",))
    folder = writer.stack("base", {"Q": queue("b")})
    read = Assembly.read(folder)
    assert [stack.id for stack in read.stacks] == ["base", "main", "watch"]
    assert (read.stacks[2].name, read.stacks[2].account, read.stacks[2].region) == ("tape-watch", "1", "eu-west-1")
    assert (read.stacks[0].account, read.stacks[0].region) == ("", "")
    assert read.buckets() == (writer.bucket,)


def test_an_assembly_without_environments_is_for_any(writer: Writer) -> None:
    (stack,) = Assembly.read(writer.stack("main", {"Q": queue("m")}, environment="")).stacks
    assert (stack.account, stack.region) == ("", "")


def test_a_circle_is_refused(writer: Writer) -> None:
    writer.stack("one", {}, needs=("two",))
    folder = writer.stack("two", {}, needs=("one",))
    with pytest.raises(AssemblyError, match="stacks depend on each other: one -> two -> one"):
        Assembly.read(folder)


def broken(writer: Writer, file: str, content: str | None) -> AssemblyError:
    """What is said of an assembly one of whose files has another content, or is gone."""
    folder = writer.stack("main", {"Q": queue("m")})
    path = folder / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(AssemblyError) as caught:
        Assembly.read(folder)
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("manifest.json", None, "manifest.json does not exist"),
        ("manifest.json", "{", "manifest.json cannot be read"),
        ("manifest.json", "[]", "manifest.json holds no object"),
        ("manifest.json", "{}", "manifest.json holds no stack"),
        ("main.template.json", None, "main.template.json does not exist"),
        ("main.assets.json", '{"dockerImages": {"abc": {}}}', "has container images (abc)"),
        (
            "main.assets.json",
            '{"files": {"a": {"source": {"path": "gone", "packaging": "zip"}, "destinations": {}}}}',
            "gone does not exist",
        ),
    ],
)
def test_what_is_damaged_is_named(writer: Writer, file: str, content: str | None, said: str) -> None:
    assert said in broken(writer, file, content).message


def test_a_template_that_cloudformation_would_refuse_is_too_long(writer: Writer) -> None:
    folder = writer.stack("main", {}, template={"Description": "x" * TEMPLATE_BYTES_MAX})
    (stack,) = Assembly.read(folder).stacks
    with pytest.raises(AssemblyError, match="CloudFormation takes 1,048,576"):
        stack.body()


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    zips = []
    for name, order in (("a", ("x/1", "y")), ("b", ("y", "x/1"))):
        for file in order:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file, encoding="utf-8")
            os.utime(path, (1_000_000_000 + len(zips), 1_000_000_000))
        content = io.BytesIO()
        assert write_zip(tmp_path / name, content) == 2
        zips.append(content.getvalue())
    assert zips[0] == zips[1]


@pytest.mark.parametrize(
    ("partition", "endpoint", "url"),
    [
        ("aws", "", "https://b.s3.eu-west-1.amazonaws.com/k"),
        ("aws-cn", "", "https://b.s3.eu-west-1.amazonaws.com.cn/k"),
        ("aws", "http://127.0.0.1:1/", "http://127.0.0.1:1/b/k"),
    ],
)
def test_where_cloudformation_reads_a_template(partition: str, endpoint: str, url: str) -> None:
    target = Target(None, "111111111111", "eu-west-1", partition, endpoint)
    assert target.object_url("b", "k") == url
    assert target.fill("${AWS::Partition}-${AWS::AccountId}-${AWS::Region}") == f"{partition}-111111111111-eu-west-1"


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("X already exists in stack", "choose another suffix"),
        ("User is not authorized to perform: iam:CreateRole", "give the caller that permission"),
        ("The bucket you tried to delete is not empty", "empty the bucket"),
        ("Rate exceeded", "quota"),
        ("resource sg-1 has a dependent object (DependencyViolation)", "still uses it"),
        ("Custom Resource failed to stabilize: did not respond", "read the logs"),
        ("Properties validation failed", "mend what the reason names"),
    ],
)
def test_the_way_out_depends_on_the_reason(reason: str, fix: str) -> None:
    assert fix in way_out(reason)


def test_a_failure_without_resources_tells_the_reason_of_the_stack() -> None:
    error = StackFailedError("tape", "UPDATE_FAILED", (), "the role already exists")
    assert error.message == "tape: ended as UPDATE_FAILED\n  the role already exists"
    assert json.dumps(error.fix)
