"""Side-update semantics on real quotes: which reading of the feed makes a sound market."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
import pytest

from tapehouse.kernel.verdict import Judge, JudgeState

DAYS = {
    # date: rows, crossed and locked with the symbol's last bid and ask standing
    "20131007": (1_079_935, 199, 27_770),
    "20131008": (1_118_140, 377, 49_169),
}
SLICE_ROWS = 200_000


def _quotes(sample_data: Path, day: str) -> pl.DataFrame:
    path = sample_data / "market" / "us_equity_ticks" / "aig" / f"{day}_quote.zip"
    with zipfile.ZipFile(path) as archive:
        raw = archive.read(archive.namelist()[0])
    names = ["ms", "bid", "bid_size", "ask", "ask_size", "venue", "condition", "suspicious"]
    text = pl.read_csv(raw, has_header=False, new_columns=names, infer_schema=False)

    def price(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Int64).replace(0, None)  # 0 is this feed's sentinel: side not updated

    return text.select(
        pl.lit("AIG").alias("symbol"),
        pl.col("venue"),
        price("bid"),
        (price("ask") // 100).alias("ask"),  # the test contract keeps asks in cents, all these are whole cents
        pl.int_range(pl.len()).alias("_row"),
    )


@pytest.mark.parametrize("day", DAYS)
def test_few_quotes_cross_the_standing_best(bench, sample_data, day) -> None:
    quotes = _quotes(sample_data, day)
    rows, crossed, locked = DAYS[day]
    assert quotes.height == rows
    assert quotes.select((pl.col("bid").is_null() ^ pl.col("ask").is_null()).all()).item(), "each row updates one side"
    judge = Judge(
        bench.contract(bench.rule({"rule": "crossed_book"}), bench.rule({"rule": "locked_book"})), bench.references()
    )
    state, counts = JudgeState(), [0, 0]
    for start in range(0, rows, SLICE_ROWS):
        verdict = judge.verdict(judge.annotate(quotes[start : start + SLICE_ROWS], state))
        counts = [count + int(((verdict["_broken"] & (1 << bit)) != 0).sum()) for bit, count in enumerate(counts)]
    assert counts == [crossed, locked]
    assert counts[0] < 0.001 * rows


def test_other_readings_see_a_broken_market(bench, sample_data) -> None:
    """The feed sends the consolidated best: a venue's name says who set it, not whose whole book it is."""
    quotes = _quotes(sample_data, "20131007")
    readings = [bench.rule({"rule": "crossed_book", "across": across}) for across in ("none", "best")]
    judge = Judge(bench.contract(*readings), bench.references())
    verdict = judge.verdict(judge.annotate(quotes, JudgeState()))
    shares = [((verdict["_broken"] & (1 << bit)) != 0).sum() / quotes.height for bit in range(2)]
    assert shares[0] > 0.01
    assert shares[1] > 0.99
