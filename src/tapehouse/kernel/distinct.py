"""Expressions of one text column, evaluated once per distinct text instead of once per row.

A tape has millions of prints and a few thousand symbols. Where a reader hands a text column over as categories,
whatever a rule asks of that column alone (a set, a pattern, a lookup) is asked of its few values and then spread over
the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Kind
from tapehouse.kernel.types import Typer
from tapehouse.native.columns import series_of

_TRIVIAL = (ast.Col, ast.Lit, ast.Null, ast.Text, ast.ParseFailed)


class Distinct:
    """The distinct texts of a Categorical column, as a String column of the same name whose last value is null."""

    def __init__(self, column: pl.Series) -> None:
        codes = column.to_physical()
        highest = codes.max()
        size = highest + 1 if isinstance(highest, int) else 0
        # Nulls take the place after the last code.
        self._codes = codes.fill_null(size) if codes.null_count() else codes
        counts = np.bincount(self._codes.to_numpy(), minlength=size + 1)[:size]
        present = np.flatnonzero(counts).astype(np.uint32)
        self._places: npt.NDArray[np.int64] = np.full(size + 1, len(present), np.int64)
        self._places[present] = np.arange(len(present))
        texts = series_of(column.name, present).cat.to(pl.Categorical).cast(pl.String)
        self.texts = pl.concat([texts, pl.Series(column.name, [None], dtype=pl.String)])

    def spread(self, values: pl.Series) -> pl.Series:
        """One value per row of the column from one value per distinct text."""
        return values.gather(series_of("", self._places)).gather(self._codes)


class DistinctColumns:
    """The distinct texts of a frame's columns, each found when it is first asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._known: dict[str, Distinct] = {}

    def evaluate(self, name: str, work: Callable[[pl.DataFrame], pl.Series]) -> pl.Series:
        """`work` over the values of column `name`: of its distinct texts where it is categories, else of all rows.

        `work` is handed a frame of that one column as String.
        """
        column = self._frame.get_column(name)
        if column.dtype != pl.Categorical:
            return work(column.to_frame())
        if name not in self._known:
            self._known[name] = Distinct(column)
        known = self._known[name]
        return known.spread(work(known.texts.to_frame()))


def per_text(tree: ast.Expr, typer: Typer) -> Iterator[ast.Expr]:
    """The largest parts of a condition that depend on one text column and nothing else."""
    if _is_per_text(tree, typer):
        yield tree
        return
    for child in tree.children():
        yield from per_text(child, typer)


def _is_per_text(tree: ast.Expr, typer: Typer) -> bool:
    nodes = list(tree.walk())
    if isinstance(tree, _TRIVIAL) or _is_null_test(tree) or len(tree.columns()) != 1:
        return False
    if any(isinstance(node, ast.ParseFailed | ast.Lookup) or node.own_scope != ast.Scope.ROW for node in nodes):
        return False
    return typer.of(ast.Col(tree.columns()[0])).kind == Kind.STRING


def _is_null_test(tree: ast.Expr) -> bool:
    """Categories tell by themselves where they are null."""
    inner = tree.operand if isinstance(tree, ast.Not) else tree
    return isinstance(inner, ast.IsNull) and isinstance(inner.operand, ast.Col)


def bare_texts(trees: Iterable[ast.Expr], typer: Typer) -> frozenset[str]:
    """Text columns that conditions read outside the parts of `per_text`: these must be text on every row."""
    found: set[str] = set()
    for tree in trees:
        _add_bare(tree, typer, found)
    return frozenset(found)


def _add_bare(tree: ast.Expr, typer: Typer, found: set[str]) -> None:
    if _is_per_text(tree, typer) or _is_null_test(tree):
        return
    if isinstance(tree, ast.Col) and typer.of(tree).kind == Kind.STRING:
        found.add(tree.name)
    for child in tree.children():
        _add_bare(child, typer, found)


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with categories as text."""
    kinds = {name: pl.String for name, kind in frame.schema.items() if kind == pl.Categorical}
    return frame.cast(kinds) if kinds else frame  # type: ignore[arg-type]
