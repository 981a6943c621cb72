"""Landed objects: one run a content, however often and in whatever company its event comes."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator import Emulator
from tapehouse.handlers import object_validator
from tapehouse.handlers.arrivals import HEAD_BYTES, Arrival, Examiner, RefusedError, arrivals_of
from tapehouse.handlers.judging import Datasets
from tapehouse.handlers.lineage import Lineage
from tapehouse.handlers.object_validator import ObjectValidator
from tapehouse.handlers.streaming import StreamValidator
from tapehouse.handlers.surroundings import Surroundings
from tapehouse.synthetic.truth import Generated

from .conftest import DATASET
from .test_streaming import _records


class Glue:
    """The service's refusals, which an emulator does not have, before the emulator's own client."""

    def __init__(self, glue: Any) -> None:
        self._glue = glue
        self.refuse, self.asked = "", 0
        self.runs: list[dict[str, Any]] = []

    def start_job_run(self, **request: Any) -> Any:
        self.asked += 1
        if self.refuse:
            from botocore.exceptions import ClientError

            raise ClientError({"Error": {"Code": self.refuse, "Message": "no"}}, "StartJobRun")
        answer = self._started(request)
        self.runs.append(request)
        return answer

    def _started(self, request: dict[str, Any]) -> Any:
        """The emulator does not know that the job may have many runs at a time: wait for the one before."""
        for _ in range(200):
            try:
                return self._glue.start_job_run(**request)
            except self._glue.exceptions.ConcurrentRunsExceededException:
                time.sleep(0.1)
        raise TimeoutError("a run of the emulator does not end")


@pytest.fixture(scope="module")
def job(aws: Emulator, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job that does nothing."""
    s3, bucket = aws.client("s3"), f"scripts-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region})
    s3.put_object(Bucket=bucket, Key="job.py", Body=b"print('done')\n")
    name = f"job-{uuid.uuid4().hex[:8]}"
    trust = {"Version": "2012-10-17", "Statement": []}
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{bucket}/job.py", "PythonVersion": "3"}
    # Runs of one test are not to be in the way of the next.
    many = {"MaxConcurrentRuns": 100}
    aws.client("glue").create_job(Name=name, Role=role, Command=command, GlueVersion="6.0", ExecutionProperty=many)
    return name


@pytest.fixture
def glue(aws: Emulator) -> Glue:
    return Glue(aws.client("glue"))


@pytest.fixture
def place(here: Surroundings, job: str) -> Surroundings:
    return replace(here, glue_job=job, pipeline="lake")


@pytest.fixture
def validator(place: Surroundings, aws: Emulator, glue: Glue) -> ObjectValidator:
    return ObjectValidator(place, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"), glue)


@pytest.fixture
def content(tape: Generated) -> bytes:
    """A file that no other test has landed."""
    lines = tape.files[0].read_bytes().splitlines(keepends=True)
    note = uuid.uuid4().hex[:12].encode()
    return b"".join([*lines[:200], lines[1].replace(lines[1].split(b",")[6], note, 1)])


Land = Callable[..., str]


@pytest.fixture
def land(place: Surroundings, aws: Emulator) -> Land:
    """Put an object; returns the body of its event."""

    def put(body: bytes, name: str = "trades.csv", *, dataset: str = DATASET) -> str:
        key = f"landing/{dataset}/{name}"
        aws.client("s3").put_object(Bucket=place.raw_bucket, Key=key, Body=body)
        return event(place.raw_bucket, key)

    return put


def event(bucket: str, key: str, version: str = "") -> str:
    """As EventBridge sends it."""
    created = {"key": key, "size": 1, "etag": "e", "sequencer": "1", **({"version-id": version} if version else {})}
    detail = {"version": "0", "bucket": {"name": bucket}, "object": created, "reason": "PutObject"}
    return json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})


def test_a_file_is_judged_and_given_to_a_run(
    validator: ObjectValidator,
    glue: Glue,
    land: Land,
    content: bytes,
    aws: Emulator,
    place: Surroundings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert validator.process({"m1": land(content)}) == []
    (run,) = glue.runs
    assert run["Arguments"] == {
        "--contract": f"s3://scripts/releases/abc/contracts/{DATASET}.yaml",
        "--input": f"s3://{place.raw_bucket}/landing/{DATASET}/trades.csv",
        "--absent": "skip",
        "--reference": f"symbols=s3://scripts/releases/abc/references/{DATASET}/symbols.csv",
    }
    item = _item(aws, place, content)
    assert item["status"] == {"S": "started"}
    assert item["job_run_id"]["S"].startswith("jr_")
    assert item["bytes"] == {"N": str(len(content))}
    assert item["rows"] == {"N": "200"}
    assert int(item["expires_at"]["N"]) > 0
    assert "claimed_until" not in item
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    totals = {name: sum(line.get(name, 0) for line in told) for name in ("ObjectsLanded", "BytesIn")}
    assert totals == {"ObjectsLanded": 1, "BytesIn": len(content)}


def _item(aws: Emulator, place: Surroundings, content: bytes) -> dict[str, Any]:
    key = {"dataset": {"S": DATASET}, "sha256": {"S": hashlib.sha256(content).hexdigest()}}
    found: dict[str, Any] = aws.client("dynamodb").get_item(TableName=place.lineage_table, Key=key)["Item"]
    return found


def test_the_same_content_is_given_to_one_run(
    validator: ObjectValidator, glue: Glue, land: Land, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice in a batch, again later, under another name."""
    body = land(content)
    assert validator.process({"m1": body, "m2": body}) == []
    assert validator.process({"m3": body}) == []
    assert validator.process({"m4": land(content, "again.csv")}) == []
    assert len(glue.runs) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(line.get("ObjectsLanded", 0) for line in told) == 1


def test_objects_of_a_dataset_are_given_to_one_run(
    validator: ObjectValidator, glue: Glue, land: Land, content: bytes, place: Surroundings
) -> None:
    lines = content.splitlines(keepends=True)
    bodies = {f"m{n}": land(b"".join([lines[0], *lines[n:]]), f"part {n}+.csv") for n in range(1, 4)}
    assert validator.process(bodies) == []
    (run,) = glue.runs
    expected = [f"s3://{place.raw_bucket}/landing/{DATASET}/part {n}+.csv" for n in range(1, 4)]
    assert run["Arguments"]["--input"] == ",".join(expected)


def test_a_job_with_all_its_runs_is_asked_again(
    validator: ObjectValidator, glue: Glue, land: Land, content: bytes, aws: Emulator, place: Surroundings
) -> None:
    body = land(content)
    glue.refuse = "ConcurrentRunsExceededException"
    assert validator.process({"m1": body}) == ["m1"]
    assert _item(aws, place, content)["status"] == {"S": "validated"}
    glue.refuse = ""
    assert validator.process({"m1": body}) == []
    assert len(glue.runs) == 1


def test_a_content_that_another_has_in_hand_is_asked_again(
    validator: ObjectValidator, glue: Glue, land: Land, content: bytes, aws: Emulator, place: Surroundings
) -> None:
    """Two deliveries at the same time: the first is between claim and start. One that died there holds nothing up
    for longer than its claim.
    """
    body = land(content)
    glue.refuse = "ConcurrentRunsExceededException"
    validator.process({"m1": body})
    glue.refuse = ""
    lineage, sha256 = Lineage(aws.client("dynamodb"), place.lineage_table), hashlib.sha256(content).hexdigest()
    assert lineage.claim(DATASET, sha256, 600)
    assert not lineage.claim(DATASET, sha256, 600)
    assert validator.process({"m2": body}) == ["m2"]
    assert glue.runs == []
    lineage.release(DATASET, sha256)
    assert lineage.claim(DATASET, sha256, -1)
    assert validator.process({"m2": body}) == []
    assert len(glue.runs) == 1


def test_a_run_that_failed_is_started_again(
    validator: ObjectValidator, glue: Glue, land: Land, content: bytes, aws: Emulator, place: Surroundings
) -> None:
    body = land(content)
    validator.process({"m1": body})
    for status, runs in (("published", 1), ("failed", 2)):
        aws.client("dynamodb").update_item(
            TableName=place.lineage_table,
            Key={"dataset": {"S": DATASET}, "sha256": {"S": hashlib.sha256(content).hexdigest()}},
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":s": {"S": status}},
        )
        assert validator.process({"m2": body}) == []
        assert len(glue.runs) == runs


def _set(aws: Emulator, place: Surroundings, content: bytes, **values: str) -> None:
    """Attributes of a content's item."""
    aws.client("dynamodb").update_item(
        TableName=place.lineage_table,
        Key={"dataset": {"S": DATASET}, "sha256": {"S": hashlib.sha256(content).hexdigest()}},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
        ExpressionAttributeNames={f"#{name}": name for name in values},
        ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
    )


def _hours_ago(hours: float) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize(("hours", "runs"), [(5.9, 1), (6.1, 2)])
def test_a_run_that_died_is_taken_for_one_that_failed(
    validator: ObjectValidator,
    glue: Glue,
    land: Land,
    content: bytes,
    aws: Emulator,
    place: Surroundings,
    hours: float,
    runs: int,
) -> None:
    """It cannot say so; it has all the time that a run may take."""
    body = land(content)
    validator.process({"m1": body})
    _set(aws, place, content, updated_at=_hours_ago(hours))
    assert validator.process({"m2": body}) == []
    assert len(glue.runs) == runs
    assert validator.process({"m3": body}) == []
    assert len(glue.runs) == runs
    assert _item(aws, place, content)["updated_at"]["S"] > _hours_ago(6)


def test_how_long_a_run_may_take_is_the_deployments(
    place: Surroundings, aws: Emulator, glue: Glue, land: Land, content: bytes
) -> None:
    short = replace(place, started_seconds=60)
    made = ObjectValidator(short, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"), glue)
    body = land(content)
    made.process({"m1": body})
    _set(aws, place, content, updated_at=_hours_ago(0.02))
    made.process({"m2": body})
    assert len(glue.runs) == 2


def _parts(content: bytes, land: Land, count: int) -> dict[str, tuple[str, bytes]]:
    """Names of messages, with their bodies and contents."""
    lines = content.splitlines(keepends=True)
    bodies = {f"m{n:02}": b"".join([lines[0], *lines[n + 1 :]]) for n in range(count)}
    return {name: (land(body, f"part-{name}.csv"), body) for name, body in bodies.items()}


def _inputs(glue: Glue) -> list[list[str]]:
    return [[one.rpartition("-")[2][:3] for one in run["Arguments"]["--input"].split(",")] for run in glue.runs]


def test_contents_that_come_again_have_runs_of_their_own(
    validator: ObjectValidator, glue: Glue, land: Land, content: bytes, aws: Emulator, place: Surroundings
) -> None:
    """One of them may be what the others failed of."""
    parts = _parts(content, land, 5)
    assert validator.process({name: body for name, (body, _) in parts.items() if name <= "m02"}) == []
    for name, status in (("m00", "failed"), ("m01", "stopped"), ("m02", "failed")):
        _set(aws, place, parts[name][1], status=status)
    glue.runs.clear()
    assert validator.process({name: body for name, (body, _) in parts.items()}) == []
    assert _inputs(glue) == [["m03", "m04"], ["m00"], ["m01"], ["m02"]]


def test_a_job_with_all_its_runs_is_not_asked_for_each_content(
    validator: ObjectValidator, glue: Glue, land: Land, content: bytes, aws: Emulator, place: Surroundings
) -> None:
    parts = _parts(content, land, 3)
    bodies = {name: body for name, (body, _) in parts.items()}
    validator.process(bodies)
    for _, body in parts.values():
        _set(aws, place, body, status="failed")
    glue.refuse, glue.asked = "ConcurrentRunsExceededException", 0
    assert validator.process(bodies) == list(bodies)
    assert glue.asked == 1
    glue.refuse = "InvalidInputException"  # of one content: no reason to hold back the others
    assert validator.process(bodies) == list(bodies)
    assert glue.asked == 4


def test_many_objects_are_listed_in_a_file(
    validator: ObjectValidator, glue: Glue, land: Land, content: bytes, aws: Emulator, place: Surroundings
) -> None:
    parts = _parts(content, land, 11)
    assert validator.process({name: body for name, (body, _) in parts.items()}) == []
    (run,) = glue.runs
    text = "".join(f"s3://{place.raw_bucket}/landing/{DATASET}/part-{name}.csv\n" for name in parts)
    key = f"manifests/{DATASET}/{hashlib.sha256(text.encode()).hexdigest()}.txt"
    assert run["Arguments"]["--input"] == f"@s3://{place.raw_bucket}/{key}"
    assert aws.client("s3").get_object(Bucket=place.raw_bucket, Key=key)["Body"].read() == text.encode()
    assert len(key) < 1_024


def test_a_content_that_was_overwritten_is_given_to_a_run_too(
    validator: ObjectValidator, glue: Glue, place: Surroundings, aws: Emulator, content: bytes
) -> None:
    """Both are judged late, when the key has the second; its copy's event may come at any time, and each twice."""
    s3, bucket, key = aws.client("s3"), place.raw_bucket, f"landing/{DATASET}/day/a-b.csv"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key=key, Body=content, Metadata={"from": "a"})["VersionId"]
    other = content + content.splitlines(keepends=True)[1]
    second = s3.put_object(Bucket=bucket, Key=key, Body=other)["VersionId"]
    assert validator.process({"m1": event(bucket, key, first)}) == []
    assert glue.runs == []
    copy = f"landing/{DATASET}/superseded/{first}/day/a-b.csv"
    found = s3.get_object(Bucket=bucket, Key=copy)
    assert (found["Body"].read(), found["Metadata"]) == (content, {"from": "a"})
    events = [event(bucket, copy, found["VersionId"]), event(bucket, key, second), event(bucket, key, first)]
    assert validator.process({str(number): body for number, body in enumerate(events)}) == []
    assert validator.process({str(number): body for number, body in enumerate(events)}) == []
    (run,) = glue.runs
    assert run["Arguments"]["--input"] == f"s3://{bucket}/{copy},s3://{bucket}/{key}"
    versions = s3.list_object_versions(Bucket=bucket, Prefix=f"landing/{DATASET}/superseded/")["Versions"]
    assert [one["Key"] for one in versions] == [copy]
    assert _item(aws, place, content)["source"] == {"S": f"s3://{bucket}/{copy}"}


def test_a_key_that_was_deleted_is_nothing_to_do(
    validator: ObjectValidator, glue: Glue, place: Surroundings, aws: Emulator, content: bytes
) -> None:
    s3, bucket, key = aws.client("s3"), place.raw_bucket, f"landing/{DATASET}/a.csv"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key=key, Body=content)["VersionId"]
    s3.delete_object(Bucket=bucket, Key=key)
    assert validator.process({"m1": event(bucket, key, version)}) == []
    assert glue.runs == []
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    ("body", "dataset", "reason"),
    [
        (b"not,a,known,header\n1,2,3,4\n", DATASET, "header"),
        (b"", DATASET, "empty"),
        (b"\x1f\x8bdamaged", DATASET, "header"),
        (b"a,b\n", "nobody", "no contract of dataset 'nobody'"),
    ],
)
@pytest.mark.proves("C22", blueprint=["market-stream", "serverless-lake"])
def test_a_file_that_cannot_be_read_fails_alone(
    validator: ObjectValidator,
    glue: Glue,
    land: Land,
    content: bytes,
    body: bytes,
    dataset: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = land(body, "bad.csv", dataset=dataset)
    assert validator.process({"bad": bad, "good": land(content)}) == ["bad"]
    assert len(glue.runs) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failed = next(line for line in told if line.get("event") == "failed")
    assert (failed["message"], reason in failed["reason"]) == ("bad", True)


def test_an_object_that_is_gone_is_nothing_to_do(
    validator: ObjectValidator, glue: Glue, place: Surroundings, aws: Emulator, content: bytes
) -> None:
    s3, key = aws.client("s3"), f"landing/{DATASET}/a.csv"
    s3.put_bucket_versioning(Bucket=place.raw_bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=place.raw_bucket, Key=key, Body=content)["VersionId"]
    second = s3.put_object(Bucket=place.raw_bucket, Key=key, Body=content + content.splitlines(True)[1])["VersionId"]
    s3.delete_object(Bucket=place.raw_bucket, Key=key, VersionId=first)
    assert validator.process({"m1": event(place.raw_bucket, key, first)}) == []
    assert validator.process({"m0": event(place.raw_bucket, f"landing/{DATASET}/never.csv")}) == []
    assert glue.runs == []
    assert validator.process({"m2": event(place.raw_bucket, key, second)}) == []
    assert len(glue.runs) == 1


def test_what_the_stream_validator_landed_is_only_started(
    validator: ObjectValidator,
    glue: Glue,
    place: Surroundings,
    aws: Emulator,
    content: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    streams = StreamValidator(place, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"))
    streams.process(_records(content.splitlines(keepends=True)[150:], every_seconds=0))
    keys = [item["Key"] for item in aws.client("s3").list_objects_v2(Bucket=place.raw_bucket)["Contents"]]
    capsys.readouterr()
    assert validator.process({"m1": event(place.raw_bucket, keys[0])}) == []
    assert len(glue.runs) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [name for line in told for name in line if name in ("BytesIn", "ObjectsLanded")] == ["ObjectsLanded"]


def test_of_a_large_file_the_beginning_is_judged(
    place: Surroundings, aws: Emulator, tape: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cut off is no fault of the file: plain, and compressed."""
    dataset = Datasets(place.contracts, place.references).get(DATASET)
    plain = tape.files[0].read_bytes()
    s3, examiner = aws.client("s3"), Examiner(aws.client("s3"))
    for name, body in (("a.csv", plain), ("a.csv.gz", gzip.compress(plain))):
        s3.put_object(Bucket=place.raw_bucket, Key=f"landing/{DATASET}/{name}", Body=body)
        arrival = Arrival(place.raw_bucket, f"landing/{DATASET}/{name}")
        whole = examiner.examine(arrival, dataset, lambda: 100.0)
        assert whole.findings is not None
        assert (whole.part, whole.findings.rows) == (False, 3_000)
        monkeypatch.setattr("tapehouse.handlers.arrivals.HEAD_BYTES", len(body) // 2)
        half = examiner.examine(arrival, dataset, lambda: 100.0)
        assert half.findings is not None
        assert (half.part, half.sha256, half.size) == (True, hashlib.sha256(body).hexdigest(), len(body))
        assert 1_000 < half.findings.rows < 2_500
        assert not [code for code in half.findings.rules if code.startswith("malformed") and code not in
                    whole.findings.rules]  # fmt: skip
        monkeypatch.setattr("tapehouse.handlers.arrivals.HEAD_BYTES", HEAD_BYTES)


def test_an_object_larger_than_the_time_there_is(place: Surroundings, aws: Emulator) -> None:
    aws.client("s3").put_object(Bucket=place.raw_bucket, Key=f"landing/{DATASET}/a.csv", Body=b"1" * 3_000_000)
    with pytest.raises(RefusedError, match="could be read in the time") as told:
        Examiner(aws.client("s3")).examine(Arrival(place.raw_bucket, f"landing/{DATASET}/a.csv"), None, lambda: 0.0)
    assert "smaller" in told.value.fix


def test_messages_that_time_does_not_allow_come_again(validator: ObjectValidator, land: Land, content: bytes) -> None:
    body = land(content)
    assert validator.process({"m1": body, "m2": body}, lambda: 5.0) == ["m1", "m2"]


def test_keys_are_read_as_their_sender_writes_them() -> None:
    assert arrivals_of(event("b", "landing/a/x+y%20 z.csv")) == [Arrival("b", "landing/a/x+y%20 z.csv")]
    s3 = {"bucket": {"name": "b"}, "object": {"key": "landing/a/x%2By+z.csv", "versionId": "v"}}
    assert arrivals_of(json.dumps({"Records": [{"s3": s3}]})) == [Arrival("b", "landing/a/x+y z.csv", "v")]
    assert arrivals_of(json.dumps({"Event": "s3:TestEvent"})) == []
    assert arrivals_of(event("b", "landing/a/")) == []
    assert arrivals_of(json.dumps({"detail-type": "Object Deleted", "detail": {}})) == []


@pytest.mark.parametrize(
    "body", ["", "no json", "[]", "{}", '"text"', '{"detail-type": "Object Created", "detail": 1}']
)
def test_other_messages_are_refused(body: str) -> None:
    with pytest.raises(RefusedError):
        arrivals_of(body)


@pytest.mark.parametrize("key", ["other/x.csv", "landing/x.csv", "landing//x.csv", "landing/a/", "landing/a/x,y.csv",
                                 "landing/a/x*.csv", "landing/a/{x}.csv"])  # fmt: skip
def test_keys_that_the_job_could_not_be_told_are_refused(key: str) -> None:
    with pytest.raises(RefusedError):
        _ = Arrival("b", key).dataset


def test_an_event_of_lambda(
    validator: ObjectValidator, land: Land, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 60_000

    monkeypatch.setattr(object_validator, "_validator", validator)
    records = [{"messageId": "m1", "body": land(content)}, {"messageId": "m2", "body": "{}"}]
    answer = object_validator.handler({"Records": records}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m2"}]}


def test_every_packaged_contract_is_compiled_beforehand(
    place: Surroundings, package: Path, aws: Emulator, glue: Glue
) -> None:
    made = ObjectValidator(place, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"), glue)
    made.warm()
    assert set(made._datasets._known) == {DATASET}
