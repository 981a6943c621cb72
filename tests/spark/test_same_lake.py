"""The same lake from both engines (I4): rows, their order, reasons, duplicates, bars, metrics, lineage, proofs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract, Key
from tapehouse.errors import FeedError
from tapehouse.lake.home import Lake
from tapehouse.runs.distributed import keys
from tapehouse.runs.distributed.engine import Distributed
from tapehouse.runs.result import Status
from tapehouse.runs.run import run
from tapehouse.synthetic.quotes import generate_quotes
from tapehouse.synthetic.truth import Generated

from .support import CONTRACTS, Pair, leftovers


def referenced(pair: Pair, tape: Generated) -> Pair:
    assert tape.reference is not None
    pair.references = {"symbols": tape.reference}
    return pair


def test_trades_with_copies_in_other_files_and_partitions(pair: Pair, trades: Contract, tape: Generated) -> None:
    one, other = referenced(pair, tape).run(trades, tape.files)
    assert one.engine == "embedded"
    assert other.engine == "spark"
    assert "rows staged to their partitions, as the key (venue, trade_id) may repeat" in other.notes[0]
    copies = pair.rows(trades, "duplicates")
    kept = pair.rows(trades, "curated").select(_kept_batch="_batch", _kept_row="_row", kept_at="_event_time")
    both = copies.join(kept, on=["_kept_batch", "_kept_row"])
    assert both.height == copies.height > 0
    assert both.filter(pl.col("_batch") != pl.col("_kept_batch")).height > 0


def hour_before(line: bytes) -> bytes:
    """The same trade, sent and received an hour earlier; a line that is damaged stays as it is."""
    event, received, *rest = line.replace(b"T15:", b"T14:", 1).split(b",")
    return b",".join([event, b"%d" % (int(received) - 3600 * 10**9), *rest]) if received.isdigit() else line


def test_copies_in_another_partition(pair: Pair, trades: Contract, tape: Generated, tmp_path: Path) -> None:
    """The generated copies keep their event time; here they are an hour older, in a file of their own."""
    first, *lines = tape.files[0].read_bytes().splitlines(keepends=True)
    moved = [hour_before(line) for line in lines if b"T15:3" in line or b"T15:4" in line]
    older = tmp_path / "older.csv"
    older.write_bytes(first + b"".join(moved))
    referenced(pair, tape).run(replace(trades, budget=None), [tape.files[0], older])
    copies = pair.rows(trades, "duplicates")
    kept = pair.rows(trades, "curated").select(_kept_batch="_batch", _kept_row="_row", kept_at="_event_time")
    both = copies.join(kept, on=["_kept_batch", "_kept_row"])
    assert both.height == copies.height > len(moved) // 2
    assert both.filter(pl.col("_event_time").dt.hour() != pl.col("kept_at").dt.hour()).height > len(moved) // 2


def test_quotes(pair: Pair, tmp_path: Path) -> None:
    made = generate_quotes(tmp_path / "in", rows=10_000, seed=5, files=3)
    pair.run(load(CONTRACTS / "synthetic-quotes.yaml"), made.files)


@pytest.mark.parametrize("exchange", ["auto", "staged"])
def test_a_key_that_holds_the_event_time(pair: Pair, trades: Contract, tape: Generated, exchange: str) -> None:
    """Every copy lies in the partition of what it repeats: rows are shuffled, and compared where they are written."""
    local = replace(trades, key=Key(("symbol", "ts_event"), ("ts_recv",)))
    _, other = referenced(pair, tape).run(local, tape.files, exchange)  # type: ignore[arg-type]
    assert other.proof.counts["duplicates"] > 0
    assert ("shuffled" if exchange == "auto" else "staged") in other.notes[0]


def test_no_key(pair: Pair, trades: Contract, tape: Generated) -> None:
    _, other = referenced(pair, tape).run(replace(trades, key=None), tape.files)
    assert other.proof.counts["duplicates"] == 0
    assert "shuffled to their partitions, as there is no key" in other.notes[0]


@pytest.mark.parametrize("key", [Key(("venue", "trade_id"), ("ts_recv",)), Key(("symbol", "ts_event"), ("ts_recv",))])
def test_late_files_copies_of_published_rows_and_a_backfill(
    pair: Pair, trades: Contract, tape: Generated, key: Key
) -> None:
    contract = replace(trades, key=key)
    referenced(pair, tape)
    for files in (tape.files[:2], tape.files[:3], tape.files[3:]):
        pair.run(contract, files)
    copies = pair.rows(contract, "duplicates")
    assert copies["_run_id"].n_unique() > 1
    _, other = pair.backfill(contract, batches=[other_digest(tape.files[1], pair)])
    assert other.kind == "backfill"
    assert other.status == Status.PUBLISHED


def other_digest(path: Path, pair: Pair) -> str:
    return pair.other.raw.digest(path)


def test_rows_without_a_whole_key_stay_where_they_are(
    pair: Pair, trades: Contract, tape: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are alike, and copies of nothing: the driver must not be sent all of them."""
    first, *lines = tape.files[0].read_bytes().splitlines(keepends=True)
    fields = [line.split(b",") for line in lines]
    bare = [b",".join([*one[:6], b"", *one[7:]]) for one in fields if len(one) == 10]
    file = tmp_path / "bare.csv"
    file.write_bytes(first + b"".join(bare))
    lax = replace(trades, budget=None, rules=tuple(rule for rule in trades.rules if "trade_id" not in rule.code))
    compared: list[int] = []
    settle = keys.settle_duplicates

    def counting(contract: Contract, key: Key, pieces: object, rows: list[pl.DataFrame]) -> object:
        compared.append(sum(frame.height for frame in rows))
        return settle(contract, key, pieces, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(keys, "settle_duplicates", counting)
    _, other = referenced(pair, tape).run(lax, [file])
    assert other.proof.counts["curated"] > 1_000
    assert sum(compared) < 100


@pytest.mark.parametrize("key", [Key(("venue", "trade_id")), None])
def test_known_input_changes_nothing(pair: Pair, trades: Contract, tape: Generated, key: Key | None) -> None:
    contract = replace(trades, key=key)
    referenced(pair, tape).run(contract, tape.files[:1])
    engine = Distributed(pair.tasks)
    again = run(contract, tape.files[:1], lake=pair.other, references=pair.references, engine=engine)
    assert again.status == Status.NOTHING
    assert leftovers(pair.other) == []


@pytest.mark.parametrize("key", [Key(("venue", "trade_id")), None])
def test_a_run_that_stops(pair: Pair, trades: Contract, tape: Generated, key: Key | None) -> None:
    """Nothing is published, and the good rows are accounted for as withheld."""
    strict = replace(trades, key=key, budget=0.0001)
    one, other = referenced(pair, tape).run(strict, tape.files)
    assert other.status == Status.STOPPED
    assert other.proof.counts["withheld"] == one.proof.counts["withheld"] > 0
    assert pair.other.names() == ["tapehouse.runs"]


def test_a_batch_that_cannot_be_read_fails_the_run(
    pair: Pair, trades: Contract, tape: Generated, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    said = []
    for lake, engine in ((pair.embedded, None), (pair.other, Distributed(pair.tasks))):
        with pytest.raises(FeedError) as caught:
            run(trades, [*tape.files, wrong], lake=lake, references={"symbols": tape.reference}, engine=engine)  # type: ignore[dict-item]
        said.append(str(caught.value))
        assert lake.names() == []
    assert said[0] == said[1]
    assert leftovers(pair.other) == []


def test_a_batch_that_another_run_published_meanwhile(
    pair: Pair, trades: Contract, tape: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found out under the lock, after it was judged: its rows must not come twice (I3)."""
    for contract in (trades, replace(trades, key=None, name="no-key")):
        engine = Distributed(pair.tasks)
        collect = engine.collect

        def meanwhile(*given: object, contract: Contract = contract, collect: object = collect) -> object:
            out = collect(*given)  # type: ignore[operator]
            run(contract, tape.files[1:2], lake=Lake.open(pair.other.root), references={"symbols": tape.reference})  # type: ignore[dict-item]
            return out

        monkeypatch.setattr(engine, "collect", meanwhile)
        late = run(contract, tape.files[:2], lake=pair.other, references={"symbols": tape.reference}, engine=engine)  # type: ignore[dict-item]
        assert late.status == Status.PUBLISHED
        assert len(late.skipped) == 1
        for files in (tape.files[1:2], tape.files[:2]):
            run(contract, files, lake=pair.embedded, references={"symbols": tape.reference})  # type: ignore[dict-item]
        curated = [lake.table(contract.name.replace("-", "_"), "curated") for lake in (pair.embedded, pair.other)]
        assert len({sum(file.rows for file in table.files()) for table in curated if table is not None}) == 1
