"""Rows of the rules' small world as files of a lake, judged by the kernel and by a database."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from tapehouse.contracts import expr as e
from tapehouse.contracts.model import RowRule
from tapehouse.engines.sql.judge import Judge
from tapehouse.engines.sql.source import Database, Source
from tapehouse.kernel.verdict import Judge as Kernel
from tapehouse.kernel.verdict import JudgeState
from tapehouse.lake.files import write
from tapehouse.runs.tables import curated_spec

# Trees, rows and the world they live in are shared with the rules' own tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rules"))

from trees import LISTINGS
from world import COLUMNS, Bench

Rows = list[dict[str, Any]]


class Trial:
    """Batches of rows, judged by the kernel one by one and by a database all at once."""

    def __init__(self, bench: Bench, batches: Sequence[Rows]) -> None:
        self._bench = bench
        self._batches = batches
        self._references = bench.references(listings=LISTINGS)

    def kernel(self, conditions: Sequence[e.Expr]) -> list[tuple[str, int, int]]:
        """`(batch, row, broken rules)` of every row."""
        found = []
        judge = Kernel(self._bench.contract(*rules(conditions)), self._references)
        for number, rows in enumerate(self._batches):
            frame = self._frame(rows)
            masks = judge.verdict(judge.annotate(frame, JudgeState()))["_broken"].to_list()
            found += [(f"b{number}", row, mask) for row, mask in enumerate(masks)]
        return found

    def database(self, conditions: Sequence[e.Expr], database: Database) -> tuple[list[tuple[str, int, int]], set[int]]:
        """The same from SQL, and the rules that were refused, whose bits are not set."""
        contract = self._bench.contract(*rules(conditions))
        judge = Judge(contract, self._references, self.source(), database)
        codes = [rule.code for rule in contract.rules]
        found, refused, relation = judge.conditions()
        picked = ["_batch", "_row", *(f"COALESCE({text}, FALSE)" for text in found.values())]
        answer = database.rows(f"SELECT {', '.join(picked)} FROM ({relation}) p ORDER BY _batch, _row")
        bits = [1 << codes.index(code) for code in found]
        masks = [
            (batch, row, sum(bit for bit, broken in zip(bits, flags, strict=True) if broken))
            for batch, row, *flags in answer
        ]
        return sorted(masks, key=lambda one: (int(one[0][1:]), one[1])), {codes.index(code) for code in refused}

    def source(self) -> Source:
        """The rows as the lake keeps them; prices beyond 18 digits must not be among them."""
        names = [f"b{number}" for number in range(len(self._batches))]
        frames = [
            self._frame(rows).with_columns(_batch=pl.lit(name), _row=pl.col("_row").cast(pl.Int64))
            for name, rows in zip(names, self._batches, strict=True)
        ]
        curated = curated_spec(self._bench.contract()).schema
        schema = pa.schema([field for field in curated if field.name in frames[0].columns])
        path = self._bench.folder / f"{id(self)}.parquet"
        write(pl.concat(frames).select(schema.names), path, schema)
        return Source((path,), schema, frozenset(names))

    def _frame(self, rows: Rows) -> pl.DataFrame:
        known = {column.name for column in COLUMNS}
        return self._bench.frame({name: [row.get(name) for row in rows] for name in rows[0] if name in known})


def rules(conditions: Sequence[e.Expr]) -> tuple[RowRule, ...]:
    """A rule per condition, `rule_0` first."""
    return tuple(RowRule(f"rule_{i}", "test", node, observed=e.Null()) for i, node in enumerate(conditions))
