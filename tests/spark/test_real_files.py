"""Certificates for every example contract, on real market and payment files and on generated ones of its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import tapehouse
from tapehouse.certificate.certify import Certification
from tapehouse.synthetic.quotes import generate_quotes
from tapehouse.synthetic.trades import generate_trades

from .support import CONTRACTS, unequal

Certify = Callable[..., Certification]
# Contract -> files of it; the first of a pattern is enough where there are many alike.
FILES = {
    "us-equity-trades": ("market/us_equity_ticks/*/*_trade.zip", 4),
    "us-equity-quotes": ("market/us_equity_ticks/aig/*_quote.zip", 1),
    "fx-quotes": ("market/fx_ticks/eurusd/*_quote.zip", None),
    "minute-bars": ("market/crypto_bars/*_1m.csv", None),
    "fx-bid-bars": ("market/fx_bars/usdjpy-m1-bid-*.csv", None),
    "daily-bars": ("market/daily_bars_with_known_faults/*-1d-*.csv", None),
    "us-equity-daily-bars": ("market/us_equity_daily/*.zip", 2),
    "order-book": ("market/order_book_dbn/*.dbn.zst", None),
    "retail-invoices": ("payments/retail_invoices/*.csv.gz", 20),
}
REFERENCES = {"fx-bid-bars": {"ask": "market/fx_bars/usdjpy-m1-ask-2013.csv"}}
QUICK = ("fx-quotes", "minute-bars", "order-book")


@pytest.fixture
def certify(spark: object, tmp_path: Path) -> Certify:
    def made(name: str, files: list[Path], references: dict[str, Path] | None = None) -> Certification:
        out, key, keep = tmp_path / "certificate.json", tmp_path / "key.pem", tmp_path / "keep"
        found = tapehouse.certify(CONTRACTS / f"{name}.yaml", files, references=references, out=out, key=key, keep=keep)
        assert unequal(found.tables) == []
        assert found.equal
        assert tapehouse.read_certificate(out)[0]["equal"] is True
        return found

    return made


def test_every_example_contract_is_here() -> None:
    known = {path.stem for path in CONTRACTS.glob("*.yaml")}
    assert known == {*FILES, "consolidated-trades", "synthetic-quotes"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FILES]
)
def test_real_files(certify: Certify, sample_data: Path, name: str) -> None:
    pattern, count = FILES[name]
    files = sorted(sample_data.glob(pattern))[:count]
    assert files
    references = {table: sample_data / path for table, path in REFERENCES.get(name, {}).items()}
    found = certify(name, files, references or None)
    assert found.runs[1].rows_in > 1_000


@pytest.mark.slow
def test_five_million_generated_trades(certify: Certify, tmp_path: Path) -> None:
    """With copies in other files, and a file in which trades of one hour come as of the hour before."""
    made = generate_trades(tmp_path / "in", rows=5_000_000, seed=1, files=5)
    first, *lines = made.files[0].read_bytes().splitlines(keepends=True)
    moved = (line.replace(b"T15:", b"T14:", 1).split(b",") for line in lines if b"T15:3" in line)
    older = tmp_path / "in" / "older.csv"
    hour = 3600 * 10**9
    older.write_bytes(
        first
        + b"".join(
            b",".join([line[0], b"%d" % (int(line[1]) - hour), *line[2:]]) for line in moved if line[1].isdigit()
        )
    )
    found = certify("consolidated-trades", [*made.files, older], {"symbols": made.reference})  # type: ignore[dict-item]
    copies = tapehouse.query(found.runs[1].lake, "select * from consolidated_trades.duplicates").to_polars()
    kept = tapehouse.query(
        found.runs[1].lake,
        "select _batch as _kept_batch, _row as _kept_row, _event_time as kept_at from consolidated_trades.curated",
    ).to_polars()
    both = copies.join(kept, on=["_kept_batch", "_kept_row"])
    assert both.height == copies.height
    assert both.filter(pl.col("_batch") != pl.col("_kept_batch")).height > 1_000
    assert both.filter(pl.col("_event_time").dt.hour() != pl.col("kept_at").dt.hour()).height > 1_000


@pytest.mark.slow
def test_generated_quotes(certify: Certify, tmp_path: Path) -> None:
    made = generate_quotes(tmp_path / "in", rows=500_000, seed=2, files=4)
    certify("synthetic-quotes", list(made.files))
