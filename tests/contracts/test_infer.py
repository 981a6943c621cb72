"""Contracts inferred from files: they load, they read well, and they say what the file shows."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tapehouse.contracts.infer import infer
from tapehouse.contracts.lint import lint_text
from tapehouse.contracts.load import loads
from tapehouse.contracts.model import Contract, Grammar, Kind, Role
from tapehouse.errors import FeedError

ROWS = 300
TRADES = ["ts_event,ts_recv,symbol,venue,price,size,trade_id,note"] + [
    f"2024-03-08T14:30:00.{i:09}Z,{1_709_908_200_000_000_000 + i},NA,XNAS,169.{i % 100:04},{i + 1},{i},"
    for i in range(ROWS)
]


def inferred(path: Path) -> Contract:
    text = infer(path)
    assert max(len(line) for line in text.splitlines()) <= 140
    assert not {finding.code for finding in lint_text(text)} & {"no_owner", "no_key_statement", "no_budget"}
    return loads(text, str(path))


def write(folder: Path, lines: list[str], name: str = "trades.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_csv_with_header(tmp_path: Path) -> None:
    found = inferred(write(tmp_path, TRADES))
    kinds = {column.name: (column.kind, column.grammar, column.role) for column in found.columns}
    assert kinds["ts_event"] == (Kind.TIMESTAMP, Grammar.ISO8601, Role.EVENT_TIME)
    assert kinds["ts_recv"] == (Kind.TIMESTAMP, Grammar.EPOCH_NS, Role.RECEIVE_TIME)
    assert kinds["symbol"] == (Kind.STRING, Grammar.TEXT, Role.SYMBOL)
    assert kinds["price"] == (Kind.DECIMAL, Grammar.DECIMAL, Role.PRICE)
    assert found.column("price").scale == 4
    assert found.column("size").measure
    assert not found.column("note").required
    assert found.column("venue").required
    assert found.key is not None
    assert found.key.columns == ("trade_id",)
    assert found.key.keep_first_by == ("ts_recv",)
    assert {"price_not_positive", "late", "recv_before_event"} <= {rule.code for rule in found.rules}
    assert [item.kind for item in found.derived] == ["bars"]


@pytest.mark.parametrize("packing", ["gz", "zst", "zip"])
def test_packed_files_give_the_same_columns(tmp_path: Path, packing: str) -> None:
    plain = inferred(write(tmp_path, TRADES))
    data = (tmp_path / "trades.csv").read_bytes()
    path = tmp_path / f"trades.csv.{packing}"
    if packing == "gz":
        path.write_bytes(gzip.compress(data))
    elif packing == "zst":
        half = len(data) // 2  # two frames, as appending writers make them
        path.write_bytes(zstandard.compress(data[:half]) + zstandard.compress(data[half:]))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inner.csv", data)
    packed = inferred(path)
    assert [(c.name, c.kind, c.grammar, c.role) for c in packed.columns] == [
        (c.name, c.kind, c.grammar, c.role) for c in plain.columns
    ]
    assert packed.key == plain.key


def test_headerless_times_of_day(tmp_path: Path) -> None:
    lines = [f"{34_200_000 + i * 10},{480_000 + i},100,P" for i in range(50)]
    found = inferred(write(tmp_path, lines, "20131008_trade.csv"))
    assert not found.feed.header
    assert found.columns[0].grammar == Grammar.MS_OF_DAY
    assert "date" in found.feed.path
    with pytest.raises(FeedError, match="no column looks like a time"):
        infer(write(tmp_path, lines, "trade.csv"))


@pytest.mark.parametrize(
    ("values", "grammar", "form"),
    [
        (["2024-03-08 14:30:00", "2024-03-08 14:30:01.5"], Grammar.ISO8601, ""),
        (["2024-03-08", "2024-03-11"], Grammar.STRPTIME, "%Y-%m-%d"),
        (["20240308 00:00", "20240311 00:00"], Grammar.STRPTIME, "%Y%m%d %H:%M"),
        (["20240308", "20240311"], Grammar.STRPTIME, "%Y%m%d"),
        (["1709908200", "1709908201"], Grammar.EPOCH_S, ""),
        (["1709908200000", "1709908201000"], Grammar.EPOCH_MS, ""),
        (["1709908200000000", "1709908201000000"], Grammar.EPOCH_US, ""),
        (["1709908200000000000", "1709908201000000000"], Grammar.EPOCH_NS, ""),
    ],
)
def test_notations_of_time(tmp_path: Path, values: list[str], grammar: Grammar, form: str) -> None:
    found = inferred(write(tmp_path, ["time,x", *(f"{value},1" for value in values)]))
    assert (found.event_time.grammar, found.event_time.format) == (grammar, form)


@pytest.mark.parametrize(
    ("values", "kind", "scale"),
    [
        (["1", "-20", "0"], Kind.INTEGER, 0),
        (["007", "123", "9"], Kind.STRING, 0),
        (["1.5", "2", "0.125"], Kind.DECIMAL, 3),
        (["1.123456789012345", "2", "3"], Kind.DOUBLE, 0),
        (["1e5", "2.5", "3"], Kind.DOUBLE, 0),
        (["true", "False", "true"], Kind.BOOLEAN, 0),
        (["NA", "nan", "x"], Kind.STRING, 0),
        (["", "", ""], Kind.STRING, 0),
        (["99999999999999999999", "1", "2"], Kind.DOUBLE, 0),
    ],
)
def test_kinds_of_values(tmp_path: Path, values: list[str], kind: Kind, scale: int) -> None:
    lines = ["time,x", *(f"2024-03-08T00:00:0{i}Z,{value}" for i, value in enumerate(values))]
    found = inferred(write(tmp_path, lines)).column("x")
    assert (found.kind, found.scale) == (kind, scale)


def test_odd_column_names_keep_their_source(tmp_path: Path) -> None:
    lines = ["Date,Adj Close,in,%,Date.1,date", "2024-03-08,1.5,1,2,x,y", "2024-03-11,1.5,1,2,x,y"]
    found = inferred(write(tmp_path, lines))
    names = [column.name for column in found.columns]
    assert names == ["Date", "adj_close", "in_value", "column", "date_1", "date_2"]
    assert [column.source for column in found.columns] == ["Date", "Adj Close", "in", "%", "Date.1", "date"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    lines = [delimiter.join(["time", "a", "b"]), delimiter.join(["2024-03-08T00:00:00Z", "1,5", "2"])]
    assert inferred(write(tmp_path, lines)).feed.delimiter == delimiter


def test_repeated_prints_have_no_key(tmp_path: Path) -> None:
    lines = ["time,trade_id,price", *["2024-03-08T00:00:00Z,7,1.5"] * 200]
    assert inferred(write(tmp_path, lines)).key is None


def test_ndjson(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"ts": "2024-03-08T00:00:00Z", "price": 1.25, "ok": True, "tag": None},
        {"ts": "2024-03-08T00:00:01Z", "more": 7},
    ]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    found = inferred(path)
    assert found.feed.format == "ndjson"
    kinds = {column.name: (column.kind, column.required) for column in found.columns}
    assert kinds == {
        "ts": (Kind.TIMESTAMP, True), "price": (Kind.DECIMAL, False), "ok": (Kind.BOOLEAN, False),
        "tag": (Kind.STRING, False), "more": (Kind.INTEGER, False),
    }  # fmt: skip


def test_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "timestamp": pa.array([1, 2], pa.timestamp("us", "UTC")),
            "price": pa.array([1, 2], pa.decimal128(12, 3)),
            "quantity": pa.array([1.5, None], pa.float64()),
            "symbol": pa.array(["A", "B"]).dictionary_encode(),
            "day": pa.array([1, 2], pa.date32()),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    found = inferred(tmp_path / "x.parquet")
    assert [column.kind for column in found.columns] == [
        Kind.TIMESTAMP, Kind.DECIMAL, Kind.DOUBLE, Kind.STRING, Kind.DATE
    ]  # fmt: skip
    assert found.column("price").scale == 3
    assert found.column("symbol").required
    assert not found.column("quantity").required


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.csv", b""),
        ("blank.csv", b"\n\n"),
        ("only-header.csv", b"time,price\n"),
        ("latin.csv", b"time,x\n2024-03-08T00:00:00Z,caf\xe9\n"),
        ("broken.csv.gz", b"\x1f\x8b\x08\x00garbage"),
        ("broken.zip", b"PK\x03\x04garbage"),
        ("broken.parquet", b"PAR1garbagePAR1"),
        ("broken.dbn", b"DBN\x03garbage"),
        ("broken.json", b'{"a": 1\n'),
        ("array.jsonl", b"[1, 2]\n"),
    ],
)
def test_files_without_records_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(FeedError) as caught:
        infer(path)
    assert name in str(caught.value)
    assert caught.value.fix


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="No such file"):
        infer(tmp_path / "none.csv")


REAL = [
    "market/us_equity_ticks/aig/20131008_quote.zip",
    "market/us_equity_ticks/aig/20131008_trade.zip",
    "market/fx_ticks/eurusd/20140505_quote.zip",
    "market/us_equity_daily/ibm.zip",
    "market/fx_bars/usdjpy-m1-ask-2013.csv",
    "market/crypto_bars/btcusdt-trades.parquet",
    "market/daily_bars_with_known_faults/REL-L-1d-bad-div.csv",
    "payments/retail_invoices/2010-12-17.csv.gz",
    "market/order_book_dbn/esh4-glbx-mdp3-20231224.mbo.dbn.zst",
    "market/order_book_dbn/fixtures/test_data.mbp-10.dbn.zst",
    "market/order_book_dbn/fixtures/test_data.ohlcv-1d.dbn.zst",
    "market/order_book_dbn/fixtures/test_data.definition.dbn.zst",
]


@pytest.mark.parametrize("name", REAL)
def test_real_files_give_contracts_that_load(sample_data: Path, name: str) -> None:
    found = inferred(sample_data / name)
    assert found.event_time
    if ".dbn" in name:
        assert found.key is None
