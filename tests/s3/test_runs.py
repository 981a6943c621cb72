"""Runs into a lake in S3: the same rows, order, reasons and books as on disk (I1, I3, I4, I5)."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tapehouse import api
from tapehouse.certificate.compare import compare_lakes
from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError, LakeError, UsageError
from tapehouse.lake.place import Place
from tapehouse.lake.publish import recover
from tapehouse.lake.s3 import home
from tapehouse.lake.s3.listing import listed
from tapehouse.runs.quarantined import discard
from tapehouse.runs.result import RunResult, Status
from tapehouse.runs.retention import apply_retention
from tapehouse.synthetic.truth import Generated

from .support import Cloud


def local(
    folder: Path, contract: Contract, tape: Generated, files: Sequence[Path], locations: Sequence[str]
) -> RunResult:
    """The same run into a lake on disk, of files that are said to come from the same locations."""
    origins = dict(zip(files, locations, strict=True))
    return api.run(contract, files, lake=folder / "local", references=tape.reference, origins=origins)


def same(contract: Contract, one: RunResult, other: RunResult) -> None:
    assert one.status == other.status
    assert one.proof == other.proof
    assert (one.rules, one.warnings, one.stopped_because) == (other.rules, other.warnings, other.stopped_because)
    assert [table.table for table in compare_lakes(contract, one, other) if not table.equal] == []


def test_objects_become_the_same_lake_and_once(
    cloud: Cloud, contract: Contract, tape: Generated, tmp_path: Path
) -> None:
    lake = cloud.open()
    locations = cloud.deliver(tape.files)
    made = api.run(contract, locations, lake=lake, references=tape.reference)
    assert made.status == Status.PUBLISHED
    assert made.lake == cloud.lake
    same(contract, local(tmp_path, contract, tape, tape.files, locations), made)
    before = cloud.keys(), cloud.keys(bucket=cloud.landing)
    again = api.run(
        contract, f"s3://{cloud.landing}/landing/trades/*/*/*.csv", lake=cloud.lake, references=tape.reference
    )
    assert again.status == Status.NOTHING
    assert list(again.skipped) == locations
    assert (cloud.keys(), cloud.keys(bucket=cloud.landing)) == before
    assert api.verify(cloud.lake, deep=True).ok
    quarantine = cloud.client("glue").get_table(DatabaseName=cloud.database, Name="consolidated_trades_quarantine")
    types = {one["Name"]: one["Type"] for one in quarantine["Table"]["StorageDescriptor"]["Columns"]}
    assert types["reasons"].startswith("array<struct<code:string,severity:string,columns:array<string>,")
    assert types["_raw"] == "binary"


def test_landed_bytes_are_copies_under_their_digest(cloud: Cloud, contract: Contract, tape: Generated) -> None:
    lake = cloud.open()
    made = api.run(contract, cloud.deliver(tape.files), lake=lake, references=tape.reference)
    kept = {key.rpartition("/")[2] for key in cloud.keys("raw/", cloud.landing)}
    assert kept == {batch.digest for batch in made.batches} | {contract.digest}
    for path, batch in zip(tape.files, made.batches, strict=True):
        assert cloud.body(f"raw/{batch.digest[:2]}/{batch.digest}", cloud.landing) == path.read_bytes()
        assert lake.raw.verify(batch.digest)
    assert lake.raw.digests() == sorted(kept)
    assert not lake.raw.verify("0" * 64)
    assert lake.raw.size("0" * 64) is None


def test_files_of_this_machine(cloud: Cloud, contract: Contract, tape: Generated, tmp_path: Path) -> None:
    """A lake in S3 is fed from a laptop, too; names and rows are those of a local run."""
    made = api.run(contract, tape.files, lake=cloud.open(), references=tape.reference)
    same(contract, local(tmp_path, contract, tape, tape.files, [str(path) for path in tape.files]), made)
    assert cloud.keys("lake/arriving/") == []


def test_late_files_replay_and_backfill(cloud: Cloud, contract: Contract, tape: Generated, tmp_path: Path) -> None:
    locations = cloud.deliver(tape.files)
    given = {"references": tape.reference}
    for number in (2, 4):
        made = api.run(contract, locations[:number], lake=cloud.open(), **given)
        local(tmp_path, contract, tape, tape.files[:number], locations[:number])
    digest = made.batches[0].digest
    again = api.backfill(contract, lake=cloud.lake, batches=[digest], **given)
    assert again.status == Status.PUBLISHED
    same(contract, api.backfill(contract, lake=tmp_path / "local", batches=[digest], **given), again)
    lax = replace(contract, rules=tuple(rule for rule in contract.rules if rule.code != "price_band"))
    replayed = api.replay(lax, lake=cloud.lake, **given)
    same(contract, api.replay(lax, lake=tmp_path / "local", **given), replayed)
    assert api.verify(cloud.lake, deep=True).ok
    assert len(api.list_runs(cloud.lake)) == 4
    assert api.show_run(cloud.lake, made.run_id)["status"] == "published"


def test_a_run_that_stops_keeps_its_reasons(cloud: Cloud, contract: Contract, tape: Generated, tmp_path: Path) -> None:
    strict = replace(contract, budget=0.0001)
    locations = cloud.deliver(tape.files)
    made = api.run(strict, locations, lake=cloud.open(), references=tape.reference)
    assert made.status == Status.STOPPED
    same(strict, local(tmp_path, strict, tape, tape.files, locations), made)
    assert [note for note in made.notes if f"rejected records: {cloud.lake}/stopped/{made.run_id}/" in note]
    assert len(cloud.keys(f"lake/stopped/{made.run_id}/")) == 2
    assert [key for key in cloud.keys("raw/", cloud.landing) if contract.digest not in key] == []
    assert cloud.open().names() == ["tapehouse.runs"]


def test_what_is_asked_of_it(cloud: Cloud, contract: Contract, tape: Generated) -> None:
    made = api.run(contract, cloud.deliver(tape.files), lake=cloud.open(), references=tape.reference)
    found = api.query(cloud.lake, "select count(*) as n from consolidated_trades.curated").to_dicts()
    assert found == [{"n": made.proof.counts["curated"]}]
    assert api.quarantine(cloud.lake).total == made.proof.counts["quarantined"]
    assert made.to_polars().height == made.proof.counts["curated"]
    assert api.check(contract, lake=cloud.lake).ok is not None


def test_verify_misses_what_is_gone_or_changed(cloud: Cloud, contract: Contract, tape: Generated) -> None:
    made = api.run(contract, cloud.deliver(tape.files), lake=cloud.open(), references=tape.reference)
    digest = made.batches[0].digest
    s3 = cloud.client("s3")
    s3.put_object(Bucket=cloud.landing, Key=f"raw/{digest[:2]}/{digest}", Body=b"other")
    gone = cloud.keys("lake/warehouse/consolidated_trades/curated/data/")[0]
    s3.delete_object(Bucket=cloud.curated, Key=gone)
    report = str(api.verify(cloud.lake))
    assert "landed bytes are missing or changed" in report
    assert f"data file {gone.rpartition('/')[2]} is missing" in report


def test_retention_takes_objects_out(cloud: Cloud, contract: Contract, tape: Generated) -> None:
    days = replace(contract.retention, curated_days=1, raw_days=1, quarantine_days=1)
    brief, lake = replace(contract, retention=days), cloud.open()
    stopped = api.run(replace(brief, budget=0.0), tape.files[0], lake=lake, references=tape.reference)
    assert stopped.status == Status.STOPPED
    made = api.run(brief, cloud.deliver(tape.files), lake=lake, references=tape.reference)
    for batch in made.batches:
        discard(lake, contract.name, batch.digest, range(batch.proof.records), "a test")
    later = datetime.now(UTC) + timedelta(days=30)
    done = [apply_retention(lake, brief, now=later) for _ in range(2)]
    assert done[0].quarantine_rows == made.proof.counts["quarantined"]
    assert sum(one.rows for one in done) == made.proof.counts["curated"]
    assert [key for key in cloud.keys("raw/", cloud.landing) if contract.digest not in key] == []
    assert cloud.keys("lake/stopped/") == []
    assert api.verify(cloud.lake).ok


def test_an_origin_that_is_replaced_meanwhile(cloud: Cloud, contract: Contract, tape: Generated) -> None:
    """Nothing may be kept under a digest that it does not have."""
    locations = cloud.deliver(tape.files[:1])
    lake = cloud.open()
    landing = lake.landing(locations)
    for landed in landing:
        cloud.client("s3").put_object(Bucket=cloud.landing, Key=locations[0].split("/", 3)[3], Body=b"other")
        with pytest.raises(LakeError, match="copying"):
            landing.settle()
        assert not lake.raw.has(landed.digest)
    landing.abandon()


def test_uploads_that_nobody_used_go_with_age(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.client("s3").put_object(Bucket=cloud.curated, Key="lake/arriving/x/000000/a.csv", Body=b"x")
    lake = cloud.open()
    with lake.lock():
        recover(lake)
        assert len(cloud.keys("lake/arriving/")) == 1
        monkeypatch.setattr(home, "ARRIVING_SECONDS_MAX", -1.0)
        recover(lake)
    assert cloud.keys("lake/arriving/") == []


def test_a_place_that_is_sent_knows_its_objects(cloud: Cloud, contract: Contract, tape: Generated) -> None:
    """A task elsewhere reads by name, and only while it runs."""
    lake = cloud.open()
    location = cloud.deliver(tape.files[:1])
    landing = lake.landing(location, here=False)
    [landed] = landing
    sent: Place = pickle.loads(pickle.dumps(lake.place))
    assert sent.digest(landed.path) == landed.digest
    assert sent.words(landed.path, 0, 2) == tape.files[0].read_bytes()[:16]
    assert sent.words(landed.path, 0, 0) == b""
    with sent.task() as place:
        [here] = place.fetch([landed.path])
        assert here.read_bytes() == tape.files[0].read_bytes()
        assert here != landed.path
        assert place.name(here) == landed.path
    assert not here.exists()
    assert not landed.path.exists()
    cloud.client("s3").put_object(Bucket=cloud.landing, Key=location[0].split("/", 3)[3], Body=b"other")
    with pytest.raises(FeedError, match="was replaced or removed"):
        sent.digest(landed.path)
    with sent.task() as place, pytest.raises(FeedError, match="was replaced or removed"):
        place.fetch([landed.path])
    with pytest.raises(LakeError, match="is gone"):
        sent.digest(lake.warehouse / "nothing")
    landing.abandon()


def test_what_a_location_names(cloud: Cloud, tmp_path: Path) -> None:
    files = []
    for name in ("a.csv", "b.csv", "b+c [1].csv", "_SUCCESS", ".hidden"):
        files.append(tmp_path / name)
        files[-1].write_text(name)
    cloud.deliver(files, "in/x")
    cloud.deliver(files[:1], "in/y")

    def names(location: str) -> list[str]:
        return [one.key for one in listed(f"s3://{cloud.landing}/{location}")]

    assert names("in/x") == names("in/x/") == ["in/x/a.csv", "in/x/b+c [1].csv", "in/x/b.csv"]
    assert names("in/x/a.csv") == ["in/x/a.csv"]
    assert names("in/*/a.csv") == ["in/x/a.csv", "in/y/a.csv"]
    assert names("in/x/{a,b}.csv") == ["in/x/a.csv", "in/x/b.csv"]
    assert names("in/x/[!a].csv") == ["in/x/b.csv"]
    assert names("in/x/?.csv") == ["in/x/a.csv", "in/x/b.csv"]
    for nothing in ("in/*.csv", "in/z", "in"):
        with pytest.raises(FeedError, match="there is no file"):
            names(nothing)


def test_inputs_in_s3_want_a_lake_there(cloud: Cloud, contract: Contract, tape: Generated, tmp_path: Path) -> None:
    locations = cloud.deliver(tape.files[:1])
    with pytest.raises(UsageError, match="the lake is not"):
        api.run(contract, locations, lake=tmp_path / "lake", references=tape.reference)
    with pytest.raises(UsageError, match="is a folder"):
        api.open_lake(tmp_path / "lake", database="db")
    with pytest.raises(UsageError, match="names no file"):
        api.run(contract, tmp_path / "nothing.csv", lake=cloud.open())
