"""The verdict: for each row, the set of rules it broke, as one bitmask; and for rejected rows the reasons in words.

Bit i of `_broken` is `contract.rules[i]`. Rules are evaluated as Boolean columns (a bit a row each); the mask is only
put together for rows that broke something, which is why a dozen rules cost less than reading one column.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr import Scope
from tapehouse.contracts.model import Contract, RowRule, Severity
from tapehouse.errors import ContractError, Problem, ReferenceDataError
from tapehouse.kernel.annotate import Annotator, JudgeState, check_lookups
from tapehouse.kernel.compile import Compiler, anchored
from tapehouse.kernel.reasons import ReasonWriter
from tapehouse.kernel.types import Typer, measured_bits
from tapehouse.native.columns import series_of
from tapehouse.reference import References

__all__ = ["BROKEN", "RULES_MAX", "Judge", "JudgeState"]

BROKEN = "_broken"
# Bits of a mask that the lake stores as a signed 64-bit integer.
RULES_MAX = 63


class Judge:
    """Judges the rows of one contract. Compiles once; holds no state of a batch, so threads may share it.

    `reject_mask` and `warn_mask` are the bits of the rules of each severity; `scope` is the most that any rule must see
    at once: with BATCH, `annotate` must be given a whole batch as one frame.
    """

    def __init__(self, contract: Contract, references: References) -> None:
        """Raises ContractError for rules that cannot be evaluated, ReferenceDataError for a table not loaded."""
        self._rules = contract.rules
        typer = Typer(contract)
        trees = [tree for rule in contract.rules for tree in _trees(rule)]
        absent = check_lookups(trees, references.tables)
        if absent:
            raise ReferenceDataError(
                f"reference table {absent[0]!r} is not loaded", fix=f"pass --reference {absent[0]}=FILE"
            )
        self._contract = contract
        conditions = [rule.broken for rule in contract.rules]
        self._annotator = Annotator(trees, conditions, typer, references, contract.event_time.name)
        self._reasons = ReasonWriter(contract, typer, self._annotator.columns)
        self.scope = max((tree.scope for tree in trees), default=Scope.ROW)
        self.reject_mask = _mask(contract.rules, Severity.REJECT)
        self.warn_mask = _mask(contract.rules, Severity.WARN)
        self._numbers = _numbers(conditions, typer, self._annotator.columns)
        self._compiled: dict[tuple[object, ...], list[tuple[int, pl.Expr]]] = {}
        _check_rules(contract, Compiler(typer, self._annotator.columns, ()))

    @property
    def annotations(self) -> tuple[str, ...]:
        """Names of the columns `annotate` adds: `reasons` reads them; drop them before writing."""
        return tuple(self._annotator.columns.values())

    def annotate(self, frame: pl.DataFrame, state: JudgeState) -> pl.DataFrame:
        """`frame` (one slice of one batch, in arrival order) with lookups, sessions and windows as `_x..` columns.

        `state` carries ordered windows from slice to slice and is advanced past the frame's last row.
        """
        return self._annotator.annotate(frame, state)

    def verdict(self, annotated: pl.DataFrame) -> pl.DataFrame:
        """`annotated` with `_broken`, a UInt64 bitmask; a rule whose condition is null is not broken."""
        rules = self._expressions(annotated)
        masks = _masks(annotated, rules) if rules else np.zeros(annotated.height, np.uint64)
        return annotated.with_columns(series_of(BROKEN, masks))

    def reasons(self, rejected: pl.DataFrame) -> pl.Series:
        """For each row of an annotated frame with `_broken`, its broken rules in contract order.

        A list of structs `{code, severity, columns, observed, bound}`, values as people write them. The observed text
        of a value that could not be read is taken from `_text_<column>` where the frame has it, else it is null.
        """
        return self._reasons.write(rejected)

    def _expressions(self, annotated: pl.DataFrame) -> list[tuple[int, pl.Expr]]:
        """Rules that can be broken in a frame with these columns: index and condition.

        A frame of ordinary prices is judged in 64 bits, and only one with extreme values in 128, at ten times the cost.
        """
        failed = frozenset(name for name in annotated.columns if name.startswith("_failed_"))
        bits = {node: _bits(annotated.get_column(name)) for node, name in self._numbers.items()}
        case = (failed, *bits.values())
        if case not in self._compiled:
            compiler = Compiler(Typer(self._contract, bits), self._annotator.columns, failed)
            self._compiled[case] = [
                (index, compiler.compile(rule.broken))
                for index, rule in enumerate(self._rules)
                if compiler.constant(rule.broken) is not False
            ]
        return self._compiled[case]


def _numbers(conditions: list[ast.Expr], typer: Typer, materialised: Mapping[ast.Expr, str]) -> dict[ast.Expr, str]:
    """Integers that conditions compute with, by the name of their column in an annotated frame."""
    found: dict[ast.Expr, str] = {}
    sums = (node for tree in conditions for node in tree.walk() if isinstance(node, ast.Arith | ast.Abs))
    for node in (part for tree in sums for part in tree.walk()):
        name = materialised.get(node, node.name if isinstance(node, ast.Col) else None)
        if name is not None and typer.of(node).exact:
            found[node] = name
    return found


def _bits(column: pl.Series) -> int:
    low, high = column.min(), column.max()
    return measured_bits(low, high) if isinstance(low, int) and isinstance(high, int) else measured_bits(None, None)


def _masks(annotated: pl.DataFrame, rules: list[tuple[int, pl.Expr]]) -> npt.NDArray[np.uint64]:
    named = {f"_bit{index}": (index, condition) for index, condition in rules}
    bits = annotated.select(condition.alias(name) for name, (_, condition) in named.items())
    guilty = bits.select(pl.any_horizontal(pl.all()).fill_null(False).arg_true()).to_series()
    masks = np.zeros(annotated.height, np.uint64)
    if len(guilty):
        few = bits if len(guilty) * 2 > bits.height else bits[guilty]
        weighted = [pl.col(name).fill_null(False).cast(pl.UInt64) * (1 << index) for name, (index, _) in named.items()]
        found = few.select(pl.sum_horizontal(weighted)).to_series().to_numpy()
        masks[slice(None) if few is bits else guilty.to_numpy()] = found
    return masks


def _trees(rule: RowRule) -> list[ast.Expr]:
    return [tree for tree in (rule.broken, rule.observed, rule.bound) if isinstance(tree, ast.Expr)]


def _mask(rules: tuple[RowRule, ...], severity: Severity) -> int:
    return sum(1 << index for index, rule in enumerate(rules) if rule.severity == severity)


def _check_rules(contract: Contract, compiler: Compiler) -> None:
    """There are not too many rules, each compiles, and its regular expressions are ones the engine knows."""
    if len(contract.rules) > RULES_MAX:
        problem = Problem(f"{len(contract.rules)} row rules; a contract may have {RULES_MAX}", file=contract.source)
        raise ContractError([problem], fix="merge rules of one column, or split the contract")
    problems = []
    for rule in contract.rules:
        compiler.compile(rule.broken)
        for node in rule.broken.walk():
            if isinstance(node, ast.Matches):
                try:
                    pl.Series([""]).str.contains(anchored(node.pattern))
                except pl.exceptions.PolarsError as error:
                    message = f"regular expression {node.pattern!r} of rule {rule.code!r}: {error}"
                    problems.append(Problem(message, file=contract.source, line=rule.line, value=node.pattern))
    if problems:
        raise ContractError(problems)
