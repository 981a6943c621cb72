"""What a job is given to read: lists of locations, and some that are gone."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tapehouse import api
from tapehouse.errors import FeedError, LakeError, UsageError
from tapehouse.handlers import spark_job
from tapehouse.handlers.job_inputs import apart, expanded, note_of
from tapehouse.synthetic.truth import Generated

from .support import CONTRACT, Cloud


def test_a_list_has_a_location_on_each_line(cloud: Cloud, tmp_path: Path) -> None:
    here = tmp_path / "a list.txt"
    here.write_bytes("s3://b/x,y.csv\r\n\ns3://b/ü\u2028.csv\n".encode())
    [there] = cloud.deliver([here], "lists")
    wanted = ["s3://b/x,y.csv", "s3://b/ü\u2028.csv"]
    for name in (str(here), here.as_uri(), there, there.replace("s3:", "s3a:")):
        assert expanded(["first", f"@{name}", "last"]) == ["first", *wanted, "last"]


def test_lists_that_cannot_be_read(cloud: Cloud, tmp_path: Path) -> None:
    for location in (f"s3://{cloud.landing}/none", str(tmp_path / "none")):
        with pytest.raises(FeedError, match="none"):
            expanded([f"@{location}"])
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(FeedError, match="no text"):
        expanded([f"@{tmp_path}/bytes"])
    with pytest.raises(UsageError, match="neither in S3"):
        expanded(["@hdfs://host/list"])


def test_only_what_is_named_and_gone_is_left_out(cloud: Cloud, tape: Generated) -> None:
    """Patterns, folders that hold something and files of the machine stay; a bucket that is not there is trouble."""
    there = cloud.deliver(tape.files[:2], "in")
    gone, empty = f"s3://{cloud.landing}/in/gone.csv", f"s3://{cloud.landing}/none/"
    kept = [f"s3://{cloud.landing}/none/*.csv", f"s3a://{cloud.landing}/in", "/nowhere.csv"]
    assert apart([there[0], gone, *kept, empty, gone, there[1]]) == ([there[0], *kept, there[1]], [gone, empty])
    with pytest.raises(LakeError, match="no-such-bucket-at-all"):
        apart(["s3://no-such-bucket-at-all/x"])
    assert note_of(["x"] * 22).endswith("x and 2 more")


@pytest.fixture
def without_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are on the embedded engine."""
    run = api.run

    def session() -> AbstractContextManager[None]:
        return nullcontext()

    def embedded(*given: object, engine: str, **more: object) -> object:
        assert engine == "spark"
        return run(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(spark_job, "spark_session", session)
    monkeypatch.setattr(api, "run", embedded)


@pytest.mark.usefixtures("without_spark")
def test_a_job_goes_on_with_what_is_there(
    cloud: Cloud, tape: Generated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, gone = cloud.deliver(tape.files), [f"s3://{cloud.landing}/gone-{number}.csv" for number in range(2)]
    (tmp_path / "list").write_text("\n".join([gone[0], *there, gone[1]]))
    [location] = cloud.deliver([tmp_path / "list"], "lists")
    arguments = ["--contract", str(CONTRACT), "--lake", cloud.lake, "--raw", cloud.raw, "--database", cloud.database]
    arguments += ["--reference", str(tape.reference), "--input", f"@{location}"]
    assert spark_job.main("job", arguments) == FeedError.exit_code
    assert gone[0] in capsys.readouterr().err
    assert spark_job.main("job", [*arguments, "--absent", "skip"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["status"], told["rows_in"]) == ("published", 3_000)
    note = f"left out, as there is nothing: {', '.join(gone)}"
    assert told["notes"][-1] == printed.err.strip() == note


@pytest.mark.usefixtures("without_spark")
def test_a_job_that_is_left_without_inputs_ends_well(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    gone = f"s3://{cloud.landing}/gone.csv"
    arguments = ["--contract", str(CONTRACT), "--lake", cloud.lake, "--input", gone, "--absent", "skip"]
    assert spark_job.main("job", arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["rows_in"], told["proof"]["closed"]) == ("nothing", 0, True)
    assert told["notes"] == [f"left out, as there is nothing: {gone}"]
    assert cloud.keys() == []
