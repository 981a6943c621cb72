"""The rules of a contract over a source: how many rows break each, the first of them, and what could not be checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr import Scope
from tapehouse.contracts.model import Contract, RowRule
from tapehouse.engines.sql.forms import Form, NotCheckableError
from tapehouse.engines.sql.regex import portable
from tapehouse.engines.sql.relation import WHOLE, Relation
from tapehouse.engines.sql.shown import Shown
from tapehouse.engines.sql.source import BATCH, ROW, Columns, Database, Source
from tapehouse.kernel.types import Typer, measured_bits
from tapehouse.reference import References


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that breaks a rule: what tells it from others, and the values in words."""

    identity: dict[str, Any]
    observed: str | None
    bound: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule over the rows of a source. `rows` were judged; where that is not all of them, `unchecked` says why."""

    rule: RowRule
    rows: int = 0
    broken: int = 0
    first: tuple[BrokenRow, ...] = ()
    unchecked: str = ""


@dataclass
class _Case:
    """A rule that SQL can say: its condition, and whether it looks beyond its row."""

    rule: RowRule
    shown: Shown
    windowed: bool
    condition: str = ""


class Judge:
    """Judges a source by the rules of one contract; a rule is counted as in a frame that holds all the rows at once."""

    def __init__(self, contract: Contract, references: References, source: Source, database: Database) -> None:
        self._contract = contract
        self._database = database
        self._source = source
        self._columns = Columns(contract, source, database.dialect)
        self._relation = Relation(contract, references, source, database)

    def conditions(self) -> tuple[dict[str, str], dict[str, str], str]:
        """SQL of each rule's condition by code, the reasons for rules without one, and the SELECT they hold over."""
        cases, refused = self._cases()
        return {case.rule.code: case.condition for case in cases}, refused, self._relation.text()

    def judgements(self, limit: int) -> tuple[int, list[Judgement]]:
        """Number of rows, and one judgement per row rule in the contract's order with at most `limit` broken rows."""
        cases, refused = self._cases()
        rules = {rule.code: rule for rule in self._contract.rules}
        found = {code: Judgement(rules[code], unchecked=reason) for code, reason in refused.items()}
        whole = self._database.dialect.identifier(WHOLE)
        counts = ["count(*)", f"count(CASE WHEN {whole} THEN 1 END)"]
        counts += [f"count(CASE WHEN {self._counted(case)} THEN 1 END)" for case in cases]
        total, ordered, *broken = self._database.rows(f"SELECT {', '.join(counts)} FROM ({self._relation.text()}) p")[0]  # noqa: S608
        for case, count in zip(cases, broken, strict=True):
            rows = ordered if case.windowed else total
            first = self._first(case, limit) if count else ()
            found[case.rule.code] = Judgement(case.rule, rows, count, first, _missed(total - rows))
        return total, [found[code] for code in rules]

    def _counted(self, case: _Case) -> str:
        return f"{self._database.dialect.identifier(WHOLE)} AND {case.condition}" if case.windowed else case.condition

    def _cases(self) -> tuple[list[_Case], dict[str, str]]:
        """Twice over the rules: what they need must be in the relation before its numbers are measured."""
        cases, refused = [], {}
        typer = Typer(self._contract)
        for rule in self._contract.rules:
            try:
                self._check_patterns(rule)
                if self._relation.value(rule.broken).form != Form.BOOLEAN:
                    raise NotCheckableError("it is no condition")
                cases.append(_Case(rule, Shown(rule, self._relation, typer), rule.broken.scope > Scope.ROW))
            except NotCheckableError as error:
                refused[rule.code] = str(error)
        compiler = self._relation.compiler(Typer(self._contract, self._measured([case.rule for case in cases])))
        for case in list(cases):
            try:
                case.condition = compiler.value(case.rule.broken).text
            except NotCheckableError as error:
                refused[case.rule.code] = str(error)
                cases.remove(case)
        return cases, refused

    def _check_patterns(self, rule: RowRule) -> None:
        for node in rule.broken.walk():
            if isinstance(node, ast.Matches) and not self._database.accepts(portable(node.pattern)):
                raise NotCheckableError(f"the pattern {node.pattern!r} is too large for {self._database.dialect.name}")

    def _measured(self, rules: Sequence[RowRule]) -> dict[ast.Expr, int]:
        """Bits that the integers of sums and products need in these rows, as the kernel measures a frame."""
        typer = Typer(self._contract)
        sums = (node for rule in rules for node in rule.broken.walk() if isinstance(node, ast.Arith | ast.Abs))
        texts = {part: self._integer(part) for node in sums for part in node.walk() if typer.of(part).exact}
        numbers = {part: text for part, text in texts.items() if text is not None}
        if not numbers:
            return {}
        bounds = [f"{function}({text})" for text in numbers.values() for function in ("min", "max")]
        (answer,) = self._database.rows(f"SELECT {', '.join(bounds)} FROM ({self._relation.text()}) p")  # noqa: S608
        ends = [None if end is None else int(end) for end in answer]
        return dict(zip(numbers, map(measured_bits, ends[::2], ends[1::2]), strict=True))

    def _integer(self, node: ast.Expr) -> str | None:
        """Name of the integer column that holds a node's values, if there is one."""
        value = self._relation.annotations.get(node)
        if value is None:
            return self._columns(node.name).text if isinstance(node, ast.Col) else None
        return value.text if value.form in (Form.LONG, Form.WIDE) else None

    def _first(self, case: _Case, limit: int) -> tuple[BrokenRow, ...]:
        names = self._identity(case.rule)
        quoted = [self._database.dialect.identifier(name) for name in names]
        wanted = [*quoted, *(value.text for value in case.shown.values)] or ["1"]
        order = f" ORDER BY {', '.join(quoted)}" if quoted else ""
        rows = self._database.rows(
            f"SELECT {', '.join(wanted)} FROM ({self._relation.text()}) p"  # noqa: S608
            f" WHERE {self._counted(case)}{order} LIMIT {limit}"
        )
        width = len(names)
        return tuple(
            BrokenRow(
                dict(zip(names, row[:width], strict=True)), *case.shown.texts(row[width:] if case.shown.values else [])
            )
            for row in rows
        )

    def _identity(self, rule: RowRule) -> list[str]:
        """Where the row came from, or else its key, or else the columns of the rule."""
        if self._source.ordered:
            return [BATCH, ROW]
        names = self._contract.key.columns if self._contract.key is not None else rule.columns
        return [name for name in names if name in self._columns.found]


def _missed(rows: int) -> str:
    if not rows:
        return ""
    return f"{rows} rows: it compares rows in order of arrival, and other rows of their batches are not in the table"
