"""Windows per key in arrival order as SQL window functions, batch by batch: the counterpart of `kernel.windows`."""

from __future__ import annotations

from collections.abc import Sequence

from tapehouse.contracts import expr as ast
from tapehouse.engines.sql.compile import number_or_null
from tapehouse.engines.sql.dialect import Dialect
from tapehouse.engines.sql.forms import Form, NotCheckableError, Value
from tapehouse.engines.sql.source import BATCH, ROW

# A statistic of integers within this many bits has no rounding before its last step, so its order does not matter.
_DOUBLE_BITS = 53
_UNTIL_NOW = "UNBOUNDED PRECEDING AND CURRENT ROW"
_BEFORE = "UNBOUNDED PRECEDING AND 1 PRECEDING"
_AFTER = "1 FOLLOWING AND UNBOUNDED FOLLOWING"


class Windows:
    """Writes windows over rows that have `_batch` and `_row`."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def value(self, node: ast.Expr, operand: Value, by: Sequence[Value]) -> Value:
        """`node` over the rows of its batch and `by`. Raises NotCheckableError where SQL would round otherwise."""
        if operand.form == Form.NULL:
            raise NotCheckableError("it takes a window of nothing")
        text, form = operand.text, operand.form
        if isinstance(node, ast.Previous):
            return Value(self._last(text, by, _BEFORE), form)
        if isinstance(node, ast.Carried):
            return Value(self._last(text, by, _UNTIL_NOW), form)
        if isinstance(node, ast.Next):
            return Value(f"{self._dialect.ignoring_nulls.format('first_value', text)} {self._over(by, _AFTER)}", form)
        return Value(self._running_max(operand, by), form)

    def _running_max(self, operand: Value, by: Sequence[Value]) -> str:
        if operand.form != Form.DOUBLE:
            return f"max({operand.text}) {self._over(by, _UNTIL_NOW)}"
        largest = f"max({number_or_null(operand.text, self._dialect)}) {self._over(by, _UNTIL_NOW)}"
        return f"COALESCE({largest}, {self._last(operand.text, by, _UNTIL_NOW)})"

    def seen_before(self, by: Sequence[Value]) -> Value:
        """Whether an earlier row of the batch has the same `by` values."""
        over = self._over(by, "")
        return Value(f"(row_number() {over} > 1)", Form.BOOLEAN)

    def carried_best(self, node: ast.CarriedBest, operands: Sequence[Value], by: Sequence[Value]) -> Value:
        """The best of what was carried of each operand: one operand per value of the column `across`."""
        carried = [self._last(operand.text, by, _UNTIL_NOW) for operand in operands]
        if operands[0].form == Form.DOUBLE:
            raise NotCheckableError("it takes the best of carried doubles")
        best = "GREATEST" if node.side == "max" else "LEAST"
        return Value(carried[0] if len(carried) == 1 else f"{best}({', '.join(carried)})", operands[0].form)

    def rolling(self, node: ast.Rolling, operand: Value, by: Sequence[Value], bits: int) -> Value:
        """A centred statistic of integers of which no sum over the window needs more than `bits`."""
        if operand.form not in (Form.LONG, Form.WIDE):
            raise NotCheckableError(f"a rolling {node.statistic} of {operand.form} values has no exact counterpart")
        before = node.rows // 2
        after = node.rows - before - 1
        end = "CURRENT ROW" if after == 0 else f"{after} FOLLOWING" if after > 0 else f"{-after} PRECEDING"
        over = self._over(by, f"{before} PRECEDING AND {end}")
        if node.statistic in ("min", "max"):
            return Value(f"{node.statistic}({operand.text}) {over}", operand.form)
        if node.statistic == "sum":
            return Value(f"sum({self._dialect.cast(operand.text, operand.form, Form.WIDE)}) {over}", Form.WIDE)
        if bits > _DOUBLE_BITS:
            raise NotCheckableError(
                f"a rolling {node.statistic} of numbers beyond {_DOUBLE_BITS} bits rounds differently"
            )
        doubled = self._dialect.cast(operand.text, operand.form, Form.DOUBLE)
        function = self._dialect.median.format(doubled) if node.statistic == "median" else f"avg({doubled})"
        return Value(f"{function} {over}", Form.DOUBLE)

    def _last(self, text: str, by: Sequence[Value], rows: str) -> str:
        return f"{self._dialect.ignoring_nulls.format('last_value', text)} {self._over(by, rows)}"

    def _over(self, by: Sequence[Value], rows: str) -> str:
        if any(value.form == Form.DOUBLE for value in by):
            raise NotCheckableError("its key is a double")
        name = self._dialect.identifier
        keys = ", ".join([name(BATCH), *(value.text for value in by)])
        frame = f" ROWS BETWEEN {rows}" if rows else ""
        return f"OVER (PARTITION BY {keys} ORDER BY {name(ROW)}{frame})"
