"""Lookups, sessions and windows of a contract's rules, computed once per slice into `_x..` columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr import Scope
from tapehouse.kernel.compile import MATERIALISED, Compiler
from tapehouse.kernel.distinct import DistinctColumns, bare_texts, per_text, plain
from tapehouse.kernel.types import Typer
from tapehouse.kernel.windows import WindowState, ordered, whole_batch
from tapehouse.reference import References

# With fewer sessions than this in a slice, comparing with each is faster than a binary search per row.
_SESSIONS_COMPARED_MAX = 8


@dataclass(slots=True)
class JudgeState:
    """What the ordered windows remember of one batch between its slices. Make a new one for each batch."""

    windows: dict[str, WindowState] = field(default_factory=dict)


class Annotator:
    """Adds one column per lookup, session test and window that the given trees contain, inner ones first, and one per
    part of a condition that asks something of a single text column.
    """

    def __init__(
        self,
        trees: Iterable[ast.Expr],
        conditions: Sequence[ast.Expr],
        typer: Typer,
        references: References,
        event_time: str,
    ) -> None:
        self._typer = typer
        self._references = references
        self._event_time = event_time
        self._bare = bare_texts(conditions, typer)
        self.columns: dict[ast.Expr, str] = {}
        nodes = [part for tree in conditions for part in per_text(tree, typer)]
        nodes += [node for tree in trees for node in _inside_out(tree) if isinstance(node, MATERIALISED)]
        for node in nodes:
            self.columns.setdefault(node, f"_x{len(self.columns)}")

    def annotate(self, frame: pl.DataFrame, state: JudgeState) -> pl.DataFrame:
        """`frame` with the annotation columns; advances `state` past its last row."""
        texts = [name for name in self._bare if frame.schema[name] == pl.Categorical]
        frame = frame.with_columns(pl.col(name).cast(pl.String) for name in texts)
        compiler = Compiler(self._typer, self.columns, frame.columns)
        distinct = DistinctColumns(frame)
        rows: dict[tuple[str, tuple[str, ...]], pl.Series] = {}
        for node, name in self.columns.items():
            if isinstance(node, MATERIALISED):
                values = self._values(node, name, frame, state, compiler, distinct, rows)
            else:
                values = self._per_text(node, distinct)
            frame = frame.with_columns(values.alias(name))
        return frame

    def _per_text(self, node: ast.Expr, distinct: DistinctColumns) -> pl.Series:
        condition = Compiler(self._typer, {}, ()).compile(node)
        return distinct.evaluate(node.columns()[0], lambda texts: texts.select(condition).to_series())

    def _values(
        self,
        node: ast.Expr,
        name: str,
        frame: pl.DataFrame,
        state: JudgeState,
        compiler: Compiler,
        distinct: DistinctColumns,
        rows: dict[tuple[str, tuple[str, ...]], pl.Series],
    ) -> pl.Series:
        if isinstance(node, ast.Lookup):
            return self._lookup(node, frame, distinct, rows)
        if isinstance(node, ast.InSession):
            return self._in_session(node, frame.select(compiler.compile(node.operand)).to_series())
        operand = getattr(node, "operand", None)
        compiled = compiler.compile(operand) if isinstance(operand, ast.Expr) else None
        if node.own_scope == Scope.ORDERED and compiled is not None:
            return ordered(node, frame, compiled, state.windows.setdefault(name, WindowState()))
        return whole_batch(node, frame, compiled)

    def _lookup(
        self,
        node: ast.Lookup,
        frame: pl.DataFrame,
        distinct: DistinctColumns,
        rows: dict[tuple[str, tuple[str, ...]], pl.Series],
    ) -> pl.Series:
        table = self._references.tables[node.table]
        by = tuple(dict(zip(node.keys, node.by, strict=True))[key] for key in table.keys)
        values = table.frame[node.column]
        if len(by) == 1 and not len(table.valid_from) and frame.schema[by[0]] in (pl.String, pl.Categorical):
            return distinct.evaluate(by[0], lambda texts: values.gather(table.rows(texts, None)))
        if (node.table, by) not in rows:
            event = frame[self._event_time] if len(table.valid_from) else None
            rows[node.table, by] = table.rows(plain(frame.select(by)), event)
        return values.gather(rows[node.table, by])

    def _in_session(self, node: ast.InSession, instants: pl.Series) -> pl.Series:
        first, last = instants.min(), instants.max()
        if not isinstance(first, int) or not isinstance(last, int):
            return pl.repeat(None, len(instants), dtype=pl.Boolean, eager=True)
        calendar = self._references.sessions(node.calendar, first, last, instants)
        near = calendar.overlapping(first, last)
        if len(near.opens) <= _SESSIONS_COMPARED_MAX:
            column = pl.col(instants.name)
            inside = [
                (column >= opening) & (column < closing)
                for opening, closing in zip(near.opens.tolist(), near.closes.tolist(), strict=True)
            ]
            # `column != column` is false on every row and null where there is no instant.
            return instants.to_frame().select(pl.any_horizontal(column != column, *inside)).to_series()
        found = pl.Series(near.contains(instants.fill_null(first).to_numpy()))
        return found if not instants.null_count() else found.set(instants.is_null(), None)


def _inside_out(node: ast.Expr) -> Iterator[ast.Expr]:
    for child in node.children():
        yield from _inside_out(child)
    yield node


def check_lookups(trees: Iterable[ast.Expr], tables: Mapping[str, object]) -> list[str]:
    """Names of reference tables the trees need and `tables` lacks, sorted."""
    needed = {node.table for tree in trees for node in tree.walk() if isinstance(node, ast.Lookup)}
    return sorted(needed - set(tables))
