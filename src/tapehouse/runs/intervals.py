"""The interval ledger: for each channel, which event-time partitions have rows, and up to when there is no hole.

A ledger of intervals, not a maximum timestamp: data that arrives out of order leaves a hole, and the hole is seen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Set

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.reference.calendars import sessions
from tapehouse.runs.read import house_table
from tapehouse.runs.tables import INTERVALS

_STEPS = {"hour": dt.timedelta(hours=1), "day": dt.timedelta(days=1)}
_LABELS = {"hour": "%Y-%m-%d-%H", "day": "%Y-%m-%d", "month": "%Y-%m"}
# A ledger longer than this has no calendar laid over it: it would cost more than it tells.
_EXPECTED_MAX = 100_000


def ledger_of(lake: Lake, contract: Contract, new: pl.DataFrame | None = None) -> Mapping[str, int]:
    """Event time (ns UTC) through which each channel is complete, counting the lake's ledger and `new` rows of it."""
    rows = house_table(lake, INTERVALS).filter(pl.col("contract") == contract.name)
    if new is not None:
        rows = pl.concat([rows, new], how="vertical_relaxed")
    if rows.is_empty():
        return {}
    spans = rows.group_by("channel", "partition").agg(pl.col("first_event").min(), pl.col("last_event").max())
    return complete_through(spans, _expected(contract, spans))


def complete_through(spans: pl.DataFrame, expected: Set[str] | None) -> Mapping[str, int]:
    """For each channel the last event of the newest partition that can be reached from its first without a hole.

    `spans` has `channel`, `partition` (label) and `last_event` (UTC, us). A hole is a partition in `expected` (those
    with a trading session) without rows of the channel; with None, one where another channel has rows.
    """
    labels = sorted(set(spans.get_column("partition")) if expected is None else expected)
    out: dict[str, int] = {}
    for (channel,), rows in spans.sort("channel", "partition").group_by("channel", maintain_order=True):
        last = dict(rows.select("partition", pl.col("last_event").dt.epoch("us")).iter_rows())
        hole = next((label for label in labels if label > min(last) and label not in last), None)
        reached = max(label for label in last if hole is None or label < hole)
        out[str(channel)] = int(last[reached]) * 1000
    return out


def _expected(contract: Contract, spans: pl.DataFrame) -> Set[str] | None:
    """Labels of the partitions in which the contract's calendar has a session, up to the ledger's last event.

    None when the contract has not exactly one calendar: then nothing says when rows are due.
    """
    first, last = spans.get_column("first_event").min(), spans.get_column("last_event").max()
    if len(contract.calendars) != 1 or not isinstance(first, dt.datetime) or not isinstance(last, dt.datetime):
        return None
    (calendar,) = contract.calendars.values()
    held = sessions(calendar, tuple(range(first.year, last.year + 1)))
    step = _STEPS.get(contract.partitioning.by, dt.timedelta(days=1))
    labels = set[str]()
    for opens, closes in zip(held.opens.tolist(), held.closes.tolist(), strict=True):
        moment = max(_instant(opens), first)
        end = min(_instant(closes), last)
        moment = moment.replace(minute=0, second=0, microsecond=0)
        if contract.partitioning.by != "hour":
            moment = moment.replace(hour=0)
        while moment < end and len(labels) < _EXPECTED_MAX:
            labels.add(moment.strftime(_LABELS[contract.partitioning.by]))
            moment += step
    return labels if len(labels) < _EXPECTED_MAX else None


def _instant(ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ns // 1_000_000_000, dt.UTC)
