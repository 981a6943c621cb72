"""Records in a stream: duplicates and poison among them, landed once, run, and redriven, as deployed."""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tapehouse import api

from .operator import Deployed, wait

DATASET = "trades"
STREAM = "StreamTrades"
LINES_PER_RECORD = 20
POISON = b"\x1f\x8b no gzip after all"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Header and rows of generated trades without a fault."""
    folder = tmp_path_factory.mktemp("tape")
    api.generate("trades", folder, rows=600, seed=21, files=1, faults="none")
    return (folder / "trades_00.csv").read_text().splitlines()


@pytest.fixture(scope="module")
def records(lines: list[str]) -> list[bytes]:
    """Records of some lines each, every third compressed."""
    body = lines[1:]
    parts = [body[start : start + LINES_PER_RECORD] for start in range(0, len(body), LINES_PER_RECORD)]
    texts = ["\n".join(part).encode() + b"\n" for part in parts]
    return [gzip.compress(text) if number % 3 == 0 else text for number, text in enumerate(texts)]


@pytest.fixture(scope="module")
def streamed(stream: Deployed, records: Sequence[bytes]) -> Deployed:
    """The deployment after the records, two of them twice, with a poison record among them."""
    put(stream, [*records[:10], POISON, *records[8:]])
    wait(lambda: stream.waiting("StreamDlqUrl") or None, 120, lambda: stream.aws.logs()[-4000:])
    wait(lambda: True if curated(stream) == 600 else None, 150, lambda: f"{curated(stream)}\n{stream.job_logs()}")
    stream.wait_for_jobs(1)
    return stream


def put(stream: Deployed, records: Sequence[bytes]) -> None:
    entries = [{"Data": record, "PartitionKey": "one"} for record in records]
    answer = stream.aws.client("kinesis").put_records(StreamName=stream.outputs[STREAM], Records=entries)
    assert answer["FailedRecordCount"] == 0


def curated(stream: Deployed) -> int:
    return int(stream.query(f"select count(*) from {DATASET}_curated")[0][0] or 0)


@pytest.mark.proves("C22", "C25", "C26", "C42", "L20", blueprint="market-stream")
def test_every_record_is_in_the_lake_once(streamed: Deployed, lines: list[str]):
    assert curated(streamed) == len(lines) - 1
    duplicates = int(streamed.query(f"select count(*) from {DATASET}_duplicates")[0][0] or 0)
    # Two records were put twice: the stream takes them as two, the contract's key knows them.
    assert duplicates == 2 * LINES_PER_RECORD
    found = streamed.query(f"select count(distinct trade_id || venue) from {DATASET}_curated")
    assert found == [[str(len(lines) - 1)]]


@pytest.mark.proves("C24", blueprint="market-stream")
def test_poison_is_in_the_dead_letters_and_what_came_after_it_is_not_lost(streamed: Deployed):
    assert streamed.waiting("StreamDlqUrl") == 1
    assert streamed.metric("PoisonRecords", DATASET) >= 1


@pytest.mark.proves("C24", blueprint="market-stream")
def test_redrive_lands_nothing_twice_and_keeps_what_is_still_poison(streamed: Deployed):
    runs = len(streamed.job_runs())
    dry = streamed.invoke("RedriveFunction", {"from": "stream", "dry_run": True})
    assert dry["stream_letters"] == 1
    done = streamed.invoke("RedriveFunction", {"from": "all"})
    assert done["records_poison"] == 1
    assert done.get("records_landed", 0) == 0
    time.sleep(1)
    assert streamed.waiting("StreamDlqUrl") == 1
    assert len(streamed.job_runs()) == runs


@pytest.mark.proves("C17", "C20", "B39", blueprint="market-stream")
def test_metrics_count_what_the_stream_brought(streamed: Deployed, lines: list[str]):
    rows = len(lines) - 1 + 2 * LINES_PER_RECORD
    assert streamed.metric("RowsIn", DATASET) == rows
    assert streamed.metric("RowsValid", DATASET) == rows
    assert streamed.metric("RowsCurated", DATASET) == len(lines) - 1
    assert streamed.metric("Completeness", DATASET, "Minimum") == 100


@pytest.mark.proves("C27", blueprint="market-stream")
def test_lineage_of_each_landed_object_has_its_run_and_its_end(streamed: Deployed):
    items = streamed.wait_for_status("published", sources=1)
    prefix = f"s3://{streamed.outputs['RawBucket']}/landing/{DATASET}/date="
    assert all(item["source"].startswith(prefix) for item in items)
    assert all(int(item["expires_at"]) > time.time() for item in items)
    rows = sum(int(item["rows"]) for item in items)
    assert rows == 600 + 2 * LINES_PER_RECORD


@pytest.mark.proves("C21", "B35", blueprint="market-stream")
def test_a_file_lands_beside_the_stream(streamed: Deployed, tmp_path: Path):
    api.generate("trades", tmp_path, rows=200, seed=77, files=1, faults="none", date="2024-06-05")
    before = curated(streamed)
    streamed.land(tmp_path / "trades_00.csv", f"{DATASET}/late/trades.csv")
    wait(lambda: True if curated(streamed) == before + 200 else None, 120, streamed.job_logs)


@pytest.mark.proves("C23", blueprint="market-stream")
def test_rows_that_break_rules_are_told_with_dataset_rule_and_count(streamed: Deployed, lines: list[str]):
    streamed.listen()
    bad = [",".join([*line.split(",")[:5], "-5", *line.split(",")[6:]]) for line in lines[1:40]]
    put(streamed, ["\n".join(bad).encode() + b"\n"])

    def look() -> list[dict] | None:
        return [alert for alert in streamed.alerts() if alert["facts"].get("dataset") == DATASET] or None

    facts = wait(look, 60)[0]["facts"]
    assert facts["dataset"] == DATASET
    assert "size_not_positive" in str(facts)
