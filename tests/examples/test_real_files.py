"""The example contracts on real files: what is kept and what is flagged, and that nothing sound is refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from .support import Judged, judge_file, judge_typed

SNAPSHOT = 32


@pytest.mark.parametrize("symbol", ["aig", "bac"])
def test_every_trade_is_kept(sample_data: Path, symbol: str) -> None:
    for path in sorted((sample_data / "market" / "us_equity_ticks" / symbol).glob("*_trade.zip")):
        found = judge_file("us-equity-trades", path)
        assert found.rows > 20_000
        assert found.rejected == 0
        assert 0 < found.counts["out_of_session"] < found.rows * 0.05


def test_quotes_are_judged_with_side_update_semantics(sample_data: Path) -> None:
    folder = sample_data / "market" / "us_equity_ticks" / "aig"
    found = judge_file("us-equity-quotes", folder / "20131007_quote.zip")
    assert found.rows == 1_079_935
    assert found.rejected == 0
    assert found.counts["crossed"] < found.rows * 0.001
    # One side a row: without the sentinel every row would hold a price of zero.
    assert found.frame["bid"].null_count() + found.frame["ask"].null_count() == found.rows


def test_currency_quotes_lie_in_the_trading_week(sample_data: Path) -> None:
    for path in sorted((sample_data / "market" / "fx_ticks" / "eurusd").glob("*_quote.zip")):
        found = judge_file("fx-quotes", path)
        assert found.rejected == 0
        assert set(found.counts) == {"crossed"}


def test_friday_ends_when_the_week_does(sample_data: Path) -> None:
    """What shows that the files' clock is five hours behind UTC: the last quote comes just before 21:00 UTC."""
    found = judge_file("fx-quotes", sample_data / "market" / "fx_ticks" / "eurusd" / "20140502_quote.zip")
    last = pl.select(pl.lit(found.frame["ts"].max()).cast(pl.Datetime("ns"))).item()
    assert (last.hour, last.minute) == (20, 59)


def test_clean_minute_bars_stay_clean(sample_data: Path) -> None:
    path = next((sample_data / "market" / "crypto_bars").glob("*_1m.csv"))
    found = judge_file("minute-bars", path)
    assert found.rows == 45_031
    assert found.counts == {}


def test_bid_bars_above_their_ask_bars_are_flagged(sample_data: Path) -> None:
    folder = sample_data / "market" / "fx_bars"
    found = judge_file("fx-bid-bars", folder / "usdjpy-m1-bid-2013.csv", {"ask": folder / "usdjpy-m1-ask-2013.csv"})
    assert found.rows == 28_761
    assert found.counts == {"bid_above_ask": 683}


def test_raw_daily_bars_keep_splits_and_crashes(sample_data: Path) -> None:
    for path in sorted((sample_data / "market" / "us_equity_daily").glob("*.zip")):
        found = judge_file("us-equity-daily-bars", path)
        assert found.rejected == 0
        assert found.counts.get("close_jump", 0) < 10


def test_invoices_refuse_nothing_that_is_business(sample_data: Path) -> None:
    files = sorted((sample_data / "payments" / "retail_invoices").glob("*.csv.gz"))[::10]
    found = [judge_file("retail-invoices", path) for path in files]
    assert sum(item.rows for item in found) > 10_000
    assert sum(item.rejected for item in found) == 0
    total = {code: sum(item.counts.get(code, 0) for item in found) for code in ("customer_missing", "line_repeated")}
    assert all(total.values())
    customers = pl.concat([item.frame["customer_id"] for item in found]).drop_nulls()
    assert customers.is_between(10_000, 99_999).all()  # 17850.0 in the file


def _book(sample_data: Path, pattern: str) -> Judged:
    return judge_file("order-book", next((sample_data / "market" / "order_book_dbn").glob(pattern)))


def _again(found: Judged, *changed: pl.Expr) -> Judged:
    """The same records with some columns changed, judged anew."""
    names = [column.name for column in found.contract.columns]
    return judge_typed(found.contract, found.frame.select(names).with_columns(*changed))


def test_snapshot_rows_raise_no_storm(sample_data: Path) -> None:
    found = _book(sample_data, "orderbooks_mbo_*.dbn.zst")
    snapshot = found.frame.filter((pl.col("flags") & SNAPSHOT) != 0)
    assert snapshot.height == 13_601
    age_ns = (snapshot["ts_recv"] - snapshot["ts_event"]).max()
    assert isinstance(age_ns, int)
    assert age_ns > 86_400 * 10**9
    assert found.rows == 13_796
    assert found.counts == {}


def test_clearing_the_book_has_no_price(sample_data: Path) -> None:
    found = _book(sample_data, "orderbooks_mbo_*.dbn.zst")
    assert found.frame.filter(pl.col("price").is_null())["action"].to_list() == ["R"]


def test_file_that_is_all_snapshot_is_clean(sample_data: Path) -> None:
    found = _book(sample_data, "esh4-*.mbo.dbn.zst")
    assert (found.rows, found.counts) == (8_725, {})


def test_late_rows_outside_a_snapshot_are_flagged(sample_data: Path) -> None:
    live = (pl.col("flags") & SNAPSHOT) == 0
    earlier = pl.when(live).then(pl.col("ts_event") - 2_000_000_000).otherwise("ts_event").alias("ts_event")
    assert _again(_book(sample_data, "orderbooks_mbo_*.dbn.zst"), earlier).counts == {"late": 195}


def test_lost_messages_of_a_channel_are_flagged(sample_data: Path) -> None:
    found = _book(sample_data, "orderbooks_mbo_*.dbn.zst")
    jump = pl.when(pl.int_range(pl.len()) >= found.rows - 10).then(20_000).otherwise(0)
    assert _again(found, pl.col("sequence") + jump).counts == {"sequence_gap": 1}
