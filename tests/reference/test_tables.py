"""Reference tables: exact types, versions as of the event, and errors that name file, line and value."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import polars as pl
import pytest

from tapehouse.contracts.model import Column, Contract, Grammar, Kind, ReferenceTable, Role
from tapehouse.errors import ReferenceDataError
from tapehouse.reference import References, Table
from tapehouse.reference.tables import load_table

COLUMNS = {
    column.name: column
    for column in (
        Column("ts", Kind.TIMESTAMP, Grammar.EPOCH_NS, "ts", role=Role.EVENT_TIME),
        Column("symbol", Kind.STRING, Grammar.TEXT, "symbol", role=Role.SYMBOL),
        Column("instrument", Kind.INTEGER, Grammar.INTEGER, "instrument"),
        Column("price", Kind.DECIMAL, Grammar.DECIMAL, "price", scale=4),
    )
}
PRICES = ReferenceTable("prices", ("symbol",), {"ref": "price", "lot": "integer", "tick": "decimal:6"})
DATED = ReferenceTable("names", ("instrument",), {"name": "string"}, valid_from="since")


def table(folder: Path, spec: ReferenceTable, text: str) -> Table:
    path = folder / "table.csv"
    path.write_text(text)
    return load_table(spec, path, COLUMNS)


def test_values_are_exact_and_empty_cells_null(tmp_path) -> None:
    text = "symbol,ref,lot,tick,other\nNA,12.34,100,0.000001,x\nAIG,,,,\n"
    loaded = table(tmp_path, PRICES, text)
    assert loaded.version == hashlib.sha256(text.encode()).hexdigest()
    rows = loaded.rows(pl.DataFrame({"symbol": ["NA", "AIG", None, "na", ""]}), None)
    assert loaded.frame["ref"].gather(rows).to_list() == [123_400, None, None, None, None]
    assert loaded.frame["tick"].gather(rows).to_list() == [1, None, None, None, None]
    assert loaded.frame["symbol"].gather(rows).to_list() == ["NA", "AIG", None, None, None]


def test_comments_short_lines_quotes_and_parquet(tmp_path) -> None:
    text = '\ufeffsymbol,ref,lot,tick\n\n# comment\n"A,B",1,2\n'
    loaded = table(tmp_path, PRICES, text)
    assert loaded.frame.rows() == [("A,B", 10_000, 2, None)]
    path = tmp_path / "table.parquet"
    pl.DataFrame({"instrument": [7], "name": ["x"], "since": [dt.datetime(2013, 10, 7, 13, 30)]}).write_parquet(path)
    dated = load_table(DATED, path, COLUMNS)
    assert dated.valid_from.tolist() == [1_381_152_600 * 10**9]


def test_latest_version_not_after_the_event(tmp_path) -> None:
    text = "instrument,name,since\n7,new,2013-10-08\n7,old,2013-10-07T00:00:00.000000001Z\n8,other,2013-10-01\n"
    loaded = table(tmp_path, DATED, text)
    day = 1_381_104_000 * 10**9  # 2013-10-07T00:00Z
    cases = [
        (7, day, None),
        (7, day + 1, "old"),
        (7, day + 86_400 * 10**9 - 1, "old"),
        (7, day + 86_400 * 10**9, "new"),
    ]
    cases += [(8, day, "other"), (8, 0, None), (9, day, None), (None, day, None), (8, None, None)]
    keys, events, names = zip(*cases, strict=True)
    rows = loaded.rows(pl.DataFrame({"instrument": keys}), pl.Series(events))
    assert loaded.frame["name"].gather(rows).to_list() == list(names)
    # Alone, each event takes the path of a slice in which no version begins.
    for key, event, name in cases:
        alone = loaded.rows(
            pl.DataFrame({"instrument": pl.Series([key], dtype=pl.Int64)}), pl.Series([event], dtype=pl.Int64)
        )
        assert loaded.frame["name"].gather(alone).to_list() == [name], (key, event)


@pytest.mark.parametrize(
    ("spec", "text", "words"),
    [
        (PRICES, "symbol,ref,lot,tick\nA,1.23456,1,\n", [":2: column 'ref' holds '1.23456'", "at most 4 decimals"]),
        (PRICES, "symbol,ref,lot,tick\nA,1,x,\n", [":2: column 'lot' holds 'x'"]),
        (PRICES, "symbol,ref,lot,tick\nA,nan,1,\n", [":2: column 'ref' holds 'nan'"]),
        (PRICES, "symbol,ref,lot,tick\nA,1e30,1,\n", [":2: column 'ref' holds '1e30'", "64 bits"]),
        (PRICES, "symbol,ref,lot,tick\nA,1,1,\n\nA,2,1,\n", [":4: symbol='A' is there twice", "validFrom"]),
        (PRICES, "symbol,ref,lot,tick\n,1,1,\n", [":2: column 'symbol' is empty"]),
        (PRICES, "symbol,ref,lot,tick\nA,1,1,1,1,1\n", [":2: 6 fields, the header has 4"]),
        (PRICES, "symbol,ref,lot\nA,1,1\n", ["has no column 'tick'", "symbol, ref, lot"]),
        (PRICES, "", ["is empty"]),
        (PRICES, "symbol,symbol\n", ["has a column twice"]),
        (PRICES, 'symbol,ref,lot,tick\n"A,1\n', ["neither a CSV nor a Parquet file"]),
        (DATED, "instrument,name,since\n7,a,2013-10-07\n7,b,2013-10-07\n", [":3: instrument=7", "is there twice"]),
        (DATED, "instrument,name,since\n7,a,07/10/2013\n", [":2: column 'since' holds '07/10/2013'"]),
        (DATED, "instrument,name,since\n7,a,\n", [":2: column 'since' is empty"]),
    ],
)
def test_errors_name_the_place(tmp_path, spec, text, words) -> None:
    with pytest.raises(ReferenceDataError) as raised:
        table(tmp_path, spec, text)
    for word in [str(tmp_path), *words]:
        assert word in str(raised.value)


def _contract(**references: ReferenceTable) -> Contract:
    return Contract("c", "c", "1", "", "", tuple(COLUMNS.values()), (), references=references)


def test_files_given_and_declared(tmp_path) -> None:
    (tmp_path / "declared.csv").write_text("symbol,ref,lot,tick\nA,1,,\n")
    (tmp_path / "given.csv").write_text("symbol,ref,lot,tick\nA,2,,\n")
    spec = ReferenceTable("prices", PRICES.keys, PRICES.columns, path="declared.csv")
    contract = _contract(prices=spec)
    assert References.load(contract, base=tmp_path).tables["prices"].frame["ref"].to_list() == [10_000]
    given = References.load(contract, {"prices": tmp_path / "given.csv"}, base=tmp_path)
    assert given.tables["prices"].frame["ref"].to_list() == [20_000]
    digest = hashlib.sha256((tmp_path / "given.csv").read_bytes()).hexdigest()
    assert given.versions() == {"table:prices": f"sha256:{digest}"}


def test_missing_files_and_names(tmp_path) -> None:
    with pytest.raises(ReferenceDataError, match="--reference prices=FILE"):
        References.load(_contract(prices=PRICES))
    with pytest.raises(ReferenceDataError, match="No such file"):
        References.load(_contract(prices=PRICES), {"prices": tmp_path / "absent.csv"})
    with pytest.raises(ReferenceDataError, match=r"no reference table 'price'.*\n.*prices"):
        References.load(_contract(prices=PRICES), {"price": tmp_path / "x.csv"})


def test_tick_sizes_of_a_vendor_database(sample_data) -> None:
    spec = ReferenceTable(
        "properties",
        ("market", "symbol", "type"),
        {"minimum_price_variation": "decimal:12", "quote_currency": "string"},
    )
    loaded = load_table(spec, sample_data / "reference" / "symbol-properties-database.csv", COLUMNS)
    by = pl.DataFrame({"market": ["cme", "usa"], "symbol": ["ES", "[*]"], "type": ["future", "equity"]})
    ticks = loaded.frame["minimum_price_variation"].gather(loaded.rows(by, None))
    assert ticks.to_list() == [250_000_000_000, 10_000_000_000]
