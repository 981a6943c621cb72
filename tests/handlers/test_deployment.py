"""Custom resources: what they do to buckets and the catalogue, and that CloudFormation always gets an answer."""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from emulator import Emulator
from tapehouse.handlers import deployment, release_files, responses
from tapehouse.handlers.deployment import handler, physical_id_of
from tapehouse.handlers.emptying import IncompleteError, empty
from tapehouse.handlers.surroundings import client

from .conftest import make_bucket


class Context:
    """Of an invocation that began when this was made."""

    def __init__(self, seconds: float = 120) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(1000 * (self._end - time.monotonic())))


class CloudFormation(ThreadingHTTPServer):
    """Takes answers; refuses the first `refuse` of them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.answers: list[dict[str, Any]] = []
        self.types: list[str | None] = []
        self.refuse = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/answer"


class _Taker(BaseHTTPRequestHandler):
    server: CloudFormation

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuse:
            self.server.refuse -= 1
            self.send_error(503)
            return
        self.server.answers.append(json.loads(body))
        self.server.types.append(self.headers.get("Content-Type"))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def formation() -> Iterator[CloudFormation]:
    with CloudFormation() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _clients(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    client.cache_clear()
    yield
    client.cache_clear()


@pytest.fixture
def bucket(aws: Emulator) -> str:
    return make_bucket(aws, f"files-{uuid.uuid4().hex[:10]}")


def ask(formation: CloudFormation, request: str, kind: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Send a request; the answer."""
    event = {
        "RequestType": request,
        "ResponseURL": formation.url,
        "StackId": "arn:aws:cloudformation:eu-west-1:1:stack/s/1",
        "RequestId": uuid.uuid4().hex,
        "LogicalResourceId": "Thing",
        "ResourceType": f"Custom::{kind}",
        "ResourceProperties": {"ServiceToken": "arn", **properties},
        **more,
    }
    before = len(formation.answers)
    handler(event, more.get("context", Context()))
    assert len(formation.answers) == before + 1
    answer = formation.answers[-1]
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        assert answer[name] == event[name]
    return answer


def test_a_bucket_is_emptied_of_everything_when_it_is_deleted(
    aws: Emulator, formation: CloudFormation, bucket: str
) -> None:
    s3 = aws.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(30):
        s3.put_object(Bucket=bucket, Key=f"k{number % 20} ü", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="k1 ü")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    made = ask(formation, "Create", "S3AutoDeleteObjects", {"BucketName": bucket})
    assert made["Status"] == "SUCCESS"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 30
    gone = {"PhysicalResourceId": made["PhysicalResourceId"]}
    assert ask(formation, "Delete", "S3AutoDeleteObjects", {"BucketName": bucket}, **gone)["Status"] == "SUCCESS"
    left = s3.list_object_versions(Bucket=bucket)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
    s3.delete_bucket(Bucket=bucket)
    # Again, when the bucket is gone: CloudFormation may ask twice.
    assert ask(formation, "Delete", "S3AutoDeleteObjects", {"BucketName": bucket}, **gone)["Status"] == "SUCCESS"


def test_more_than_a_page_of_objects(aws: Emulator, bucket: str) -> None:
    s3 = aws.client("s3")
    for number in range(1_005):
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"")
    with pytest.raises(IncompleteError, match="there are more"):
        empty(s3, bucket, lambda: 0.0)
    assert empty(s3, bucket, lambda: 100.0) <= 1_005
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def _archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_a_release_is_copied_once_and_removed(aws: Emulator, formation: CloudFormation, bucket: str) -> None:
    s3 = aws.client("s3")
    members = {"glue_job.py": b"print(1)\n", "contracts/a.yaml": b"a: 1\n", "wheelhouse/big.whl": b"w" * (17 << 20)}
    s3.put_object(Bucket=bucket, Key="asset.zip", Body=_archive(members))
    properties = {"SourceBucket": bucket, "SourceKey": "asset.zip", "TargetBucket": bucket, "Prefix": "releases/abc"}
    made = ask(formation, "Create", "ReleaseFiles", properties)
    assert (made["Status"], made["Reason"]) == ("SUCCESS", "done")
    assert made["Data"] == {"Location": f"s3://{bucket}/releases/abc", "Written": "3", "Kept": "0"}
    for name, content in members.items():
        assert s3.get_object(Bucket=bucket, Key=f"releases/abc/{name}")["Body"].read() == content
    again = ask(formation, "Update", "ReleaseFiles", properties)
    assert (again["Data"]["Written"], again["Data"]["Kept"]) == ("0", "3")
    assert again["PhysicalResourceId"] == made["PhysicalResourceId"]
    other = ask(formation, "Update", "ReleaseFiles", {**properties, "Prefix": "releases/def"})
    assert other["PhysicalResourceId"] != made["PhysicalResourceId"]
    for _ in range(2):
        gone = ask(formation, "Delete", "ReleaseFiles", properties, PhysicalResourceId=made["PhysicalResourceId"])
        assert gone["Status"] == "SUCCESS"
    left = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert left == {"asset.zip", *(f"releases/def/{name}" for name in members)}


def test_the_properties_that_constructs_write_are_understood_too(
    aws: Emulator, formation: CloudFormation, bucket: str
) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="asset.zip", Body=_archive({"a": b"1"}))
    properties = {"SourceBucket": bucket, "SourceKey": "asset.zip", "Bucket": bucket, "Prefix": "releases/abc"}
    assert ask(formation, "Create", "ReleaseFiles", properties)["Data"]["Written"] == "1"
    made = ask(formation, "Create", "S3AutoDeleteObjects", {"Bucket": bucket})
    ask(formation, "Delete", "S3AutoDeleteObjects", {"Bucket": bucket}, PhysicalResourceId=made["PhysicalResourceId"])
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket=bucket)


def test_memory_and_disk_stay_small(aws: Emulator, bucket: str, tmp_path: Path) -> None:
    """An archive of one member of 96 MB, which does not compress."""
    import os
    import tracemalloc

    s3 = aws.client("s3")
    content = os.urandom(1 << 20) * 96
    out = tmp_path / "release.zip"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("wheelhouse/polars.whl", content)
    s3.upload_file(str(out), bucket, "asset.zip")
    tracemalloc.start()
    release_files.extract(s3, (bucket, "asset.zip"), bucket, "releases/x", lambda: 100.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 7 * release_files.BLOCK_BYTES
    assert s3.head_object(Bucket=bucket, Key="releases/x/wheelhouse/polars.whl")["ContentLength"] == len(content)


@pytest.mark.parametrize("name", ["../other", "/absolute", "a/../../b"])
def test_a_member_that_leaves_the_release_is_refused(
    aws: Emulator, formation: CloudFormation, bucket: str, name: str
) -> None:
    aws.client("s3").put_object(Bucket=bucket, Key="asset.zip", Body=_archive({name: b"1"}))
    properties = {"SourceBucket": bucket, "SourceKey": "asset.zip", "TargetBucket": bucket, "Prefix": "releases/abc"}
    answer = ask(formation, "Create", "ReleaseFiles", properties)
    assert answer["Status"] == "FAILED"
    assert "leaves the release" in answer["Reason"]


METADATA = {
    "format-version": 2,
    "location": "${LOCATION}",
    "current-schema-id": 0,
    "schemas": [
        {
            "schema-id": 0,
            "fields": [
                {"id": 1, "name": "symbol", "type": "string"},
                {"id": 2, "name": "size", "type": "long"},
                {"id": 3, "name": "price", "type": "decimal(18, 4)"},
                {"id": 4, "name": "_event_time", "type": "timestamptz"},
                {
                    "id": 5,
                    "name": "reasons",
                    "type": {
                        "type": "list",
                        "element": {"type": "struct", "fields": [{"name": "code", "type": "string"}]},
                    },
                },
            ],
        }
    ],
}


@pytest.fixture
def table(aws: Emulator, bucket: str) -> dict[str, str]:
    database = f"db_{uuid.uuid4().hex[:8]}"
    aws.client("glue").create_database(DatabaseInput={"Name": database})
    location = f"s3://{bucket}/lake/warehouse/trades/curated"
    return {
        "Database": database,
        "Table": "trades_curated",
        "Metadata": json.dumps(METADATA),
        "Location": location,
        "Description": "Trades",
        "Destroy": "true",
    }


def test_a_table_is_made_once_and_keeps_what_is_in_it(
    aws: Emulator, formation: CloudFormation, bucket: str, table: dict[str, str]
) -> None:
    glue, s3 = aws.client("glue"), aws.client("s3")
    made = ask(formation, "Create", "IcebergTable", table)
    assert (made["Status"], made["Data"]) == ("SUCCESS", {"Made": "true"})
    found = glue.get_table(DatabaseName=table["Database"], Name="trades_curated")["Table"]
    place = found["Parameters"]["metadata_location"]
    assert found["Parameters"]["table_type"] == "ICEBERG"
    columns = {one["Name"]: one["Type"] for one in found["StorageDescriptor"]["Columns"]}
    assert columns == {
        "symbol": "string",
        "size": "bigint",
        "price": "decimal(18,4)",
        "_event_time": "timestamp",
        "reasons": "array<struct<code:string>>",
    }
    metadata = json.loads(s3.get_object(Bucket=bucket, Key=place.removeprefix(f"s3://{bucket}/"))["Body"].read())
    assert metadata == {**METADATA, "location": table["Location"]}
    again = ask(formation, "Update", "IcebergTable", table)
    assert (again["Data"], again["PhysicalResourceId"]) == ({"Made": "false"}, made["PhysicalResourceId"])


@pytest.mark.parametrize("destroy", ["true", "false"])
def test_a_table_is_removed_if_its_policy_says_so(
    aws: Emulator, formation: CloudFormation, bucket: str, table: dict[str, str], destroy: str
) -> None:
    table = {**table, "Destroy": destroy}
    made = ask(formation, "Create", "IcebergTable", table)
    for _ in range(2):
        gone = ask(formation, "Delete", "IcebergTable", table, PhysicalResourceId=made["PhysicalResourceId"])
        assert (gone["Status"], gone["Data"]) == ("SUCCESS", {"Removed": destroy})
    tables = aws.client("glue").get_tables(DatabaseName=table["Database"])["TableList"]
    objects = aws.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    assert (len(tables), len(objects)) == ((0, 0) if destroy == "true" else (1, 1))


def test_a_table_that_moved_is_not_removed_with_its_old_place(
    aws: Emulator, formation: CloudFormation, bucket: str, table: dict[str, str]
) -> None:
    ask(formation, "Create", "IcebergTable", table)
    old = {**table, "Location": f"s3://{bucket}/lake/old"}
    gone = ask(formation, "Delete", "IcebergTable", old, PhysicalResourceId="icebergtable-old")
    assert gone["Status"] == "SUCCESS"
    assert aws.client("glue").get_table(DatabaseName=table["Database"], Name="trades_curated")


def test_a_failure_carries_its_reason(formation: CloudFormation, bucket: str) -> None:
    properties = {"SourceBucket": bucket, "SourceKey": "no.zip", "TargetBucket": bucket, "Prefix": "releases/abc"}
    answer = ask(formation, "Create", "ReleaseFiles", properties)
    assert answer["Status"] == "FAILED"
    assert "404" in answer["Reason"]
    missing = ask(formation, "Create", "IcebergTable", {"Database": "d"})
    assert (missing["Status"], "'Table'" in missing["Reason"]) == ("FAILED", True)
    unknown = ask(formation, "Create", "Other", {})
    assert (unknown["Status"], "Custom::Other" in unknown["Reason"]) == ("FAILED", True)
    whole = ask(formation, "Create", "ReleaseFiles", {**properties, "Prefix": "/"})
    assert (whole["Status"], "Prefix is empty" in whole["Reason"]) == ("FAILED", True)


def test_what_was_never_made_is_deleted_without_work(formation: CloudFormation, bucket: str, aws: Emulator) -> None:
    """After a failed creation CloudFormation asks to delete what has no id of ours."""
    aws.client("s3").put_object(Bucket=bucket, Key="kept", Body=b"1")
    answer = ask(
        formation, "Delete", "S3AutoDeleteObjects", {"BucketName": bucket}, PhysicalResourceId="2026/11/27/[1]"
    )
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "2026/11/27/[1]")
    assert aws.client("s3").head_object(Bucket=bucket, Key="kept")


def test_an_answer_comes_before_time_is_over(formation: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object) -> dict[str, str]:
        time.sleep(30)
        return {}

    monkeypatch.setitem(deployment._WORK, "Custom::Slow", hang)  # type: ignore[arg-type]
    began = time.monotonic()
    answer = ask(formation, "Create", "Slow", {}, context=Context(deployment.ANSWER_SECONDS + 1))
    assert time.monotonic() - began < 5
    assert (answer["Status"], "not done in the time" in answer["Reason"]) == ("FAILED", True)


def test_an_answer_that_is_not_taken_is_sent_again(formation: CloudFormation, bucket: str) -> None:
    formation.refuse = 2
    assert ask(formation, "Create", "S3AutoDeleteObjects", {"BucketName": bucket})["Status"] == "SUCCESS"
    assert formation.types == [""]
    formation.refuse = 10
    answer = responses.Answer("id", reason="x" * 5_000)
    with pytest.raises(OSError, match="503"):
        responses.respond(
            {
                "ResponseURL": formation.url,
                "StackId": "s",
                "RequestId": "r",
                "LogicalResourceId": "l",
                "RequestType": "Create",
            },
            answer,
        )


def test_an_answer_goes_to_a_web_address_only(tmp_path: Path) -> None:
    event = {"ResponseURL": tmp_path.as_uri(), "StackId": "", "RequestId": "", "LogicalResourceId": ""}
    with pytest.raises(ValueError, match="no web address"):
        responses.respond({**event, "RequestType": "Create"}, responses.Answer("id"))


def test_physical_ids_tell_resources_apart() -> None:
    def of(kind: str, **properties: str) -> str:
        event = {"RequestType": "Create", "StackId": "s", "ResourceType": f"Custom::{kind}"}
        return physical_id_of({**event, "ResourceProperties": properties})

    assert of("S3AutoDeleteObjects", BucketName="a") == of("S3AutoDeleteObjects", BucketName="a", Other="1")
    assert of("S3AutoDeleteObjects", BucketName="a") != of("S3AutoDeleteObjects", BucketName="b")
    assert of("IcebergTable", Database="d", Table="t") != of("IcebergTable", Database="d", Table="u")
    assert len(of("IcebergTable", Database="d" * 500)) < 64


class Refusing:
    """Work that is refused some times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, *_: object) -> dict[str, str]:
        from botocore.exceptions import ClientError

        self.left -= 1
        if self.left >= 0:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not yet"}}, "PutObject")
        return {"Done": "yes"}


@pytest.mark.parametrize(("refusals", "reason"), [(2, ""), (1_000, "AccessDenied")])
def test_a_permission_that_does_not_hold_yet_is_waited_for(
    refusals: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [600.0]

    def sleep(seconds: float) -> None:
        clock[0] -= seconds

    monkeypatch.setattr(deployment.time, "sleep", sleep)
    monkeypatch.setattr(deployment, "_WORK", {"Custom::IcebergTable": Refusing(refusals)})
    event = {"RequestType": "Create", "StackId": "s", "LogicalResourceId": "l", "ResourceType": "Custom::IcebergTable"}
    answer = deployment.answer_to({**event, "ResourceProperties": {}}, lambda: clock[0])
    assert answer.reason.startswith(reason) if reason else not answer.reason
    assert 600.0 - clock[0] <= deployment.DENIED_SECONDS + 2 * deployment.DENIED_PAUSE_SECONDS
