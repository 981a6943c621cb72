"""Whether two implementations of the reference job wrote the same: curated rows, their order, quarantine, bars.

Each output is brought to one form (times as ns, prices as integer millionths, texts as text) and described by numbers
that do not depend on file layout: per hour the row count and an order-free sum of row hashes. Order is checked on each
file by itself: rows of a partition must ascend by (symbol, ts_event).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

HOUR_NS = 3_600_000_000_000
CURATED = ("ts_event", "ts_recv", "symbol", "venue", "price", "size", "trade_id", "sequence", "conditions", "side")
BARS = ("symbol", "minute", "open", "high", "low", "close", "volume", "trades")
VWAP_ERROR_MAX = 1e-9
"""Relative: implementations sum in different orders, or exactly."""


@dataclass(frozen=True, slots=True)
class Output:
    """What one run of the job left behind."""

    curated: dict[int, tuple[int, int]]
    unsorted: list[str]
    quarantine: dict[str, int]
    bars: pl.DataFrame
    counts: dict[str, Any]


def plain_output(out: Path, counts: dict[str, Any]) -> Output:
    """Output of a script that wrote curated/, quarantine.parquet and bars.parquet."""
    refused = pl.read_parquet(_parts(out / "quarantine.parquet"), columns=["reasons"])
    reasons = refused.select(pl.col("reasons").list.sort().list.join("+")).to_series()
    bars = pl.read_parquet(_parts(out / "bars.parquet"))
    return _output(sorted(out.glob("curated/*/*.parquet")), reasons, _plain_bars(bars), counts)


def _parts(path: Path) -> list[Path]:
    """One file, or those of the folder that Spark makes of it."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def lake_output(lake: Path, counts: dict[str, Any]) -> Output:
    """Output of a Tapehouse run: the live files of its Iceberg tables."""
    from tapehouse.lake.home import Lake

    home = Lake.open(lake, create=False, read_only=True)

    def files(name: str) -> list[Path]:
        table = home.table("consolidated_trades", name)
        return sorted(file.path for file in table.files()) if table is not None else []

    refused = pl.concat([pl.read_parquet(path, columns=["reasons"]) for path in files("quarantine")])
    codes = pl.col("reasons").list.eval(pl.element().struct.field("code"))
    reasons = refused.select(codes.list.sort().list.join("+")).to_series()
    bars = pl.concat([pl.read_parquet(path) for path in files("bars_1m")])
    renamed = bars.with_columns(minute=pl.col("bar_start") // 60_000_000_000)
    return _output(files("curated"), reasons, _plain_bars(renamed), counts)


def _output(paths: Sequence[Path], reasons: pl.Series, bars: pl.DataFrame, counts: dict[str, Any]) -> Output:
    curated: dict[int, tuple[int, int]] = {}
    unsorted = []
    for path in paths:
        rows = _canonical(pl.read_parquet(path, columns=list(CURATED), hive_partitioning=False))
        if not _ascends(rows):
            unsorted.append(str(path))
        hashes = rows.select(hour=pl.col("ts_event") // HOUR_NS, hash=pl.struct(CURATED).hash(seed=1))
        for hour, count, total in hashes.group_by("hour").agg(pl.len(), pl.col("hash").cast(pl.Int128).sum()).rows():
            before = curated.get(hour, (0, 0))
            curated[hour] = (before[0] + count, (before[1] + int(total)) % 2**64)
    quarantine = dict(sorted(reasons.value_counts(name="rows").rows()))
    kept = {name: counts[name] for name in ("rows_in", "curated", "quarantined", "duplicates")}
    rules = {code: count for code, count in counts["rules"].items() if count}
    return Output(curated, unsorted, quarantine, bars, kept | {"rules": dict(sorted(rules.items()))})


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    casts = [_integers(rows.schema[name], name) for name in ("ts_event", "ts_recv", "price", "size", "sequence")]
    texts = [pl.col(name).cast(pl.String) for name in ("symbol", "venue", "trade_id", "conditions", "side")]
    return rows.with_columns(*casts, *texts).select(CURATED)


def _integers(kind: pl.DataType, name: str) -> pl.Expr:
    """ns of a time, millionths of a decimal, an integer as it is."""
    if isinstance(kind, pl.Datetime):
        return pl.col(name).dt.epoch("ns")
    if isinstance(kind, pl.Decimal):
        return (pl.col(name).cast(pl.Decimal(38, 6))).to_physical().cast(pl.Int64)
    return pl.col(name).cast(pl.Int64)


def _ascends(rows: pl.DataFrame) -> bool:
    symbol, time = pl.col("symbol"), pl.col("ts_event")
    falls = (symbol < symbol.shift(1)) | ((symbol == symbol.shift(1)) & (time < time.shift(1)))
    return not rows.select(falls.any()).item()


def _plain_bars(bars: pl.DataFrame) -> pl.DataFrame:
    """Minutes since the epoch, prices in millionths, ordered."""
    if isinstance(bars.schema["minute"], pl.Datetime):
        bars = bars.with_columns(minute=pl.col("minute").dt.epoch("s") // 60)
    numbers = [_integers(bars.schema[name], name) for name in BARS if name != "symbol"]
    columns = bars.with_columns(pl.col("symbol").cast(pl.String), *numbers, vwap=pl.col("vwap").cast(pl.Float64))
    return columns.select(*BARS, "vwap").sort("symbol", "minute")


def differences(one: Output, other: Output) -> list[str]:
    """What differs between two outputs, in words; empty where they are the same."""
    found = [f"not sorted by symbol, ts_event: {path}" for path in (*one.unsorted, *other.unsorted)]
    for name, left, right in (
        ("counts", one.counts, other.counts),
        ("curated rows", one.curated, other.curated),
        ("quarantine reasons", one.quarantine, other.quarantine),
    ):
        found += [f"{name}: {key}: {left.get(key)} against {right.get(key)}" for key in _unequal(left, right)]
    if not one.bars.select(BARS).equals(other.bars.select(BARS)):
        found.append(f"bars: {one.bars.height} against {other.bars.height}, or their values")
    elif one.bars.height:
        error = ((one.bars["vwap"] - other.bars["vwap"]) / one.bars["vwap"]).abs().max()
        if not error <= VWAP_ERROR_MAX:  # also where it is not a number
            found.append(f"bars: VWAP differs by a share of up to {error}")
    return found


def _unequal(left: dict[Any, Any], right: dict[Any, Any]) -> Iterable[Any]:
    return [key for key in sorted({*left, *right}, key=str) if left.get(key) != right.get(key)]
