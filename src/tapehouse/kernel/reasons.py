"""Reasons in words (I5): per rejected row and broken rule its code, severity, columns, observed value and bound."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Contract, Kind, RowRule
from tapehouse.contracts.units import Unit
from tapehouse.kernel.compile import Compiler
from tapehouse.kernel.distinct import plain
from tapehouse.kernel.types import Type, Typer
from tapehouse.native.columns import series_of

REASON = pl.Struct(
    {
        "code": pl.String,
        "severity": pl.String,
        "columns": pl.List(pl.String),
        "observed": pl.String,
        "bound": pl.String,
    }
)
# A reason is for reading; the quarantined row keeps the whole field.
TEXT_CHARACTERS_MAX = 1000


class ReasonWriter:
    """Writes the reasons of one contract's rules."""

    def __init__(self, contract: Contract, typer: Typer, materialised: Mapping[ast.Expr, str]) -> None:
        self._rules = contract.rules
        self._typer = typer
        self._materialised = materialised

    def write(self, rejected: pl.DataFrame) -> pl.Series:
        """One list of `REASON` per row of a frame that has `_broken` and the annotations."""
        rejected = plain(rejected)
        compiler = Compiler(self._typer, self._materialised, rejected.columns)
        broken = rejected["_broken"].to_numpy()
        rows, parts = [], []
        for index, rule in enumerate(self._rules):
            at = np.flatnonzero(broken & np.uint64(1 << index))
            if len(at):
                rows.append(at)
                parts.append(self._of_rule(rule, rejected[series_of("", at)], compiler))
        if not parts:
            return pl.Series("reasons", [[]] * rejected.height, dtype=pl.List(REASON))
        owners = np.concatenate(rows)
        order = np.argsort(owners, kind="stable")
        reasons = pl.concat(parts)[series_of("", order)].to_struct("reasons")
        listed = pl.DataFrame([series_of("row", owners[order]).set_sorted(), reasons])
        lists = listed.group_by("row", maintain_order=True).agg("reasons").get_column("reasons")
        if len(lists) == rejected.height:
            return lists
        none = pl.Series("reasons", [[]], dtype=lists.dtype)
        places = np.full(rejected.height, len(lists), np.int64)
        places[np.unique(owners)] = np.arange(len(lists))
        return pl.concat([lists, none]).gather(series_of("", places))

    def _of_rule(self, rule: RowRule, rows: pl.DataFrame, compiler: Compiler) -> pl.DataFrame:
        observed = rule.observed if rule.observed is not None else all_of(rule.columns)
        like = self._typer.of(observed)
        # Not `select`: where both are constant it would be one row long.
        texts = rows.with_columns(
            observed=self._text(observed, compiler, rows.columns, like),
            bound=pl.lit(rule.bound)
            if isinstance(rule.bound, str)
            else self._text(rule.bound, compiler, rows.columns, like),
        )
        return texts.select(
            code=pl.lit(rule.code),
            severity=pl.lit(rule.severity.value),
            columns=pl.lit(pl.Series([list(rule.columns)], dtype=pl.List(pl.String))).first(),
            observed=pl.col("observed").cast(pl.String),
            bound=pl.col("bound").cast(pl.String),
        )

    def _text(self, node: ast.Expr, compiler: Compiler, present: list[str], like: Type) -> pl.Expr:
        """`node` as text; a bare integer literal is written like the value it bounds."""
        if isinstance(node, ast.Text):
            parts = [self._text(part, compiler, present, self._typer.of(part)) for part in node.parts]
            return pl.concat_str([part.fill_null("?") for part in parts])
        if isinstance(node, ast.Null):
            return pl.lit(None, dtype=pl.String)
        bare = isinstance(node, ast.Lit) and isinstance(node.value, int) and not isinstance(node.value, bool)
        text = as_text(compiler.compile(node), like if bare and like.exact else self._typer.of(node))
        if isinstance(node, ast.Col) and f"_text_{node.name}" in present:
            text = pl.coalesce(text, pl.col(f"_text_{node.name}"))
        return text.str.slice(0, TEXT_CHARACTERS_MAX)


def all_of(columns: tuple[str, ...]) -> ast.Expr:
    """What to show for a rule that does not say: its column, or all of them by name."""
    if len(columns) == 1:
        return ast.Col(columns[0])
    parts: list[ast.Expr] = []
    for name in columns:
        parts += [ast.Lit(f"{', ' if parts else ''}{name}="), ast.Col(name)]
    return ast.Text(tuple(parts)) if parts else ast.Null()


def as_text(value: pl.Expr, kind: Type) -> pl.Expr:
    """A canonical value as people write it: 12.3400, 2013-10-07T13:30:00.000000001Z, 3600.5s."""
    if kind.unit == Unit.DURATION and kind.exact:
        return _decimal(value, 9).str.strip_chars_end("0").str.strip_chars_end(".") + "s"
    if kind.kind == Kind.TIMESTAMP:
        return value.cast(pl.Int64, strict=False).cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
    if kind.kind == Kind.DECIMAL and kind.scale:
        return _decimal(value, kind.scale)
    return value.cast(pl.String)


def _decimal(value: pl.Expr, scale: int) -> pl.Expr:
    exact = value.cast(pl.Int128, strict=False)
    whole = (exact.abs() // 10**scale).cast(pl.String)
    decimals = (exact.abs() % 10**scale).cast(pl.Int64).cast(pl.String).str.zfill(scale)
    sign = pl.when(exact < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    return pl.concat_str([sign, whole, pl.lit("."), decimals])
