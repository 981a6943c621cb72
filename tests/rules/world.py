"""A small contract per test: columns, one rule as written in YAML, rows in canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl

from tapehouse.contracts.model import Calendar, Column, Contract, Grammar, Kind, ReferenceTable, Role, RowRule
from tapehouse.contracts.rules import RuleScope, registry
from tapehouse.contracts.units import Unit
from tapehouse.kernel.verdict import Judge, JudgeState
from tapehouse.reference import References

TYPES = {
    Kind.INTEGER: pl.Int64,
    Kind.DECIMAL: pl.Int64,
    Kind.DOUBLE: pl.Float64,
    Kind.STRING: pl.String,
    Kind.BOOLEAN: pl.Boolean,
    Kind.TIMESTAMP: pl.Int64,
    Kind.DATE: pl.Date,
}


def _column(name: str, kind: Kind, role: Role | None = None, scale: int = 0, unit: Unit = Unit.ANY) -> Column:
    return Column(name, kind, Grammar.TEXT, name, role=role, scale=scale, unit=unit, measure=name in ("size", "price"))


COLUMNS = (
    _column("ts_event", Kind.TIMESTAMP, Role.EVENT_TIME, unit=Unit.TIME),
    _column("ts_recv", Kind.TIMESTAMP, Role.RECEIVE_TIME, unit=Unit.TIME),
    _column("symbol", Kind.STRING, Role.SYMBOL),
    _column("venue", Kind.STRING, Role.VENUE),
    _column("price", Kind.DECIMAL, Role.PRICE, 4, Unit.PRICE),
    _column("size", Kind.INTEGER, Role.SIZE, unit=Unit.SIZE),
    _column("sequence", Kind.INTEGER, Role.SEQUENCE, unit=Unit.ID),
    _column("channel", Kind.INTEGER, Role.CHANNEL, unit=Unit.ID),
    _column("flags", Kind.INTEGER, unit=Unit.COUNT),
    _column("bid", Kind.DECIMAL, Role.BID, 4, Unit.PRICE),
    _column("ask", Kind.DECIMAL, Role.ASK, 2, Unit.PRICE),
    _column("open", Kind.DECIMAL, Role.OPEN, 2, Unit.PRICE),
    _column("high", Kind.DECIMAL, Role.HIGH, 2, Unit.PRICE),
    _column("low", Kind.DECIMAL, Role.LOW, 2, Unit.PRICE),
    _column("close", Kind.DOUBLE, Role.CLOSE, unit=Unit.PRICE),
    _column("day", Kind.DATE),
    _column("flagged", Kind.BOOLEAN),
)
CALENDARS = {"us": Calendar("us", "America/New_York", sessions=(((0, 1, 2, 3, 4), 34_200, 57_600),))}
REFERENCES = {
    "symbols": ReferenceTable("symbols", ("symbol",), {"ref_price": "price", "tick": "decimal:4"}),
    "listings": ReferenceTable("listings", ("venue", "symbol"), {"tick": "decimal:4"}, valid_from="since"),
}


@dataclass(frozen=True)
class Bench:
    """The contract's world, and how to judge rows by one rule in it."""

    folder: Path

    @property
    def scope(self) -> RuleScope:
        return RuleScope({column.name: column for column in COLUMNS}, CALENDARS, REFERENCES)

    def contract(self, *rules: RowRule) -> Contract:
        return Contract(
            "test", "test", "1.0.0", "", "", COLUMNS, rules, calendars=CALENDARS, references=REFERENCES
        )  # fmt: skip

    def rule(self, implementation: Mapping[str, Any], on: str = "") -> RowRule:
        """The rule as a contract's loader builds it, its parameters checked against the kind's schema."""
        kind = registry()[implementation["rule"]]
        params = {key: value for key, value in implementation.items() if key != "rule"}
        jsonschema.validate(params, dict(kind.schema))
        built = kind.build(self.scope, self.scope.columns[on] if on else None, params)
        assert built.broken is not None
        columns = (on,) if on else built.broken.columns()
        return RowRule(kind.name, kind.name, built.broken, observed=built.observed, bound=built.bound, columns=columns)

    def references(self, **files: str) -> References:
        texts = {"symbols": "symbol,ref_price,tick\n", "listings": "venue,symbol,since,tick\n"} | files
        paths = {}
        for name, text in texts.items():
            paths[name] = self.folder / f"{name}.csv"
            paths[name].write_text(text)
        return References.load(self.contract(), paths)

    def frame(self, rows: Mapping[str, list[Any]]) -> pl.DataFrame:
        """Rows of all columns; those not given are null."""
        height = len(next(iter(rows.values())))
        given = [
            pl.Series(column.name, rows.get(column.name, [None] * height), dtype=TYPES[column.kind])
            for column in COLUMNS
        ]
        failed = [
            pl.Series(name, values, dtype=pl.Boolean) for name, values in rows.items() if name.startswith("_failed_")
        ]
        texts = [pl.Series(name, values, dtype=pl.String) for name, values in rows.items() if name.startswith("_text_")]
        return pl.DataFrame([*given, *failed, *texts]).with_row_index("_row")

    def judge(
        self, implementation: Mapping[str, Any], rows: Mapping[str, list[Any]], on: str = "", **files: str
    ) -> tuple[list[int], list[tuple[str | None, str | None]]]:
        """Positions of the broken rows, and their (observed, bound)."""
        judge = Judge(self.contract(self.rule(implementation, on)), self.references(**files))
        verdict = judge.verdict(judge.annotate(self.frame(rows), JudgeState()))
        rejected = verdict.filter(pl.col("_broken") != 0)
        reasons = judge.reasons(rejected).to_list()
        assert all(len(row) == 1 for row in reasons)
        return rejected["_row"].to_list(), [(row[0]["observed"], row[0]["bound"]) for row in reasons]
