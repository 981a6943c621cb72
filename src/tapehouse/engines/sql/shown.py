"""What a broken row shows: values of a query as the kernel writes them in a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import RowRule
from tapehouse.engines.sql.forms import Form, NotCheckableError, Value
from tapehouse.engines.sql.relation import Relation
from tapehouse.kernel.reasons import TEXT_CHARACTERS_MAX, all_of, as_text
from tapehouse.kernel.types import Type, Typer

_POLARS = {
    Form.LONG: pl.Int64, Form.WIDE: pl.Int128, Form.DOUBLE: pl.Float64, Form.TEXT: pl.String, Form.BOOLEAN: pl.Boolean,
    Form.DATE: pl.Date, Form.NULL: pl.String,
}  # fmt: skip


class Shown:
    """Observed value and bound of one rule: `values` are what a query has to select, `texts` what is made of them."""

    def __init__(self, rule: RowRule, relation: Relation, typer: Typer) -> None:
        self._typer = typer
        self._relation = relation
        self.values: list[Value] = []
        self._types: list[Type] = []
        observed = rule.observed if rule.observed is not None else all_of(rule.columns)
        like = typer.of(observed)
        self._observed = self._parts(observed, like)
        self._bound: list[int | str] = [rule.bound] if isinstance(rule.bound, str) else self._parts(rule.bound, like)

    def _parts(self, node: ast.Expr, like: Type) -> list[int | str]:
        """Fixed texts, and places in `values`."""
        if isinstance(node, ast.Text):
            return [part for item in node.parts for part in self._parts(item, self._typer.of(item))]
        if isinstance(node, ast.Lit) and isinstance(node.value, str):
            return [node.value]
        try:
            value = self._relation.value(node)
        except NotCheckableError:
            return []
        bare = isinstance(node, ast.Lit) and not isinstance(node.value, bool | float)
        self.values.append(value)
        self._types.append(like if bare and like.exact else self._typer.of(node))
        return [len(self.values) - 1]

    def texts(self, answer: Sequence[Any]) -> tuple[str | None, str | None]:
        """Observed and bound in words, from the selected values of one row."""
        written = list(self._written(answer))
        return _together(self._observed, written), _together(self._bound, written)

    def _written(self, answer: Sequence[Any]) -> Iterator[str | None]:
        for found, value, kind in zip(answer, self.values, self._types, strict=True):
            whole = int(found) if found is not None and value.form in (Form.LONG, Form.WIDE) else found
            cell = pl.Series("cell", [whole], dtype=_POLARS[value.form])
            text = cell.to_frame().select(as_text(pl.col("cell"), kind).cast(pl.String)).item()
            yield None if text is None else text[:TEXT_CHARACTERS_MAX]


def _together(parts: list[int | str], written: list[str | None]) -> str | None:
    texts = [part if isinstance(part, str) else written[part] for part in parts]
    if len(texts) == 1:
        return texts[0]
    return "".join(text if text is not None else "?" for text in texts) or None
