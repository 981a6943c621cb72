"""A source's rows with a column for each window, lookup and session test: the counterpart of `kernel.annotate`.

Columns that need only columns of earlier levels share a level, and each level is one SELECT around the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.contracts.model import Contract
from tapehouse.engines.sql.calendars import DAY_NS, session_days
from tapehouse.engines.sql.compile import ANNOTATED, Compiler
from tapehouse.engines.sql.forms import FORM_OF_KIND, Form, NotCheckableError, Value
from tapehouse.engines.sql.lookups import versions
from tapehouse.engines.sql.source import BATCH, ROW, Columns, Database, Source
from tapehouse.engines.sql.windows import Windows
from tapehouse.kernel.types import Typer
from tapehouse.reference import References

WHOLE = "_whole"
# Each distinct venue of a consolidated best costs a window.
_ACROSS_MAX = 64


@dataclass
class _Level:
    columns: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)


class Relation:
    """Rows of a source in canonical form, and what rules need beside them; grows as rules ask."""

    def __init__(self, contract: Contract, references: References, source: Source, database: Database) -> None:
        self._contract = contract
        self._references = references
        self._source = source
        self._database = database
        self._dialect = database.dialect
        self._windows = Windows(self._dialect)
        self._typer = Typer(contract)
        self._columns = Columns(contract, source, self._dialect)
        self._levels: list[_Level] = [_Level()]
        self._level_of: dict[ast.Expr, int] = {}
        self._lookups: dict[tuple[str, tuple[str, ...]], tuple[str, dict[str, str]]] = {}
        self._refused: dict[ast.Expr, str] = {}
        self._base = self._files()
        self.annotations: dict[ast.Expr, Value] = {}

    def _files(self) -> str:
        source, name = self._source, self._dialect.identifier
        own = [BATCH, ROW] if source.ordered else []
        types = {one: source.schema.field(one).type for one in [*self._columns.found, *own]}
        files = self._database.files(source.paths, types)
        picked = [*self._columns.canonical(), *(name(one) for one in own)]
        if not own or source.whole is None:
            return f"SELECT {', '.join([*picked, f'FALSE AS {name(WHOLE)}'])} FROM {files}"  # noqa: S608
        whole = self._database.add(pl.DataFrame({"_digest": sorted(source.whole)}, schema={"_digest": pl.String}))
        picked.append(f"(_digest IS NOT NULL) AS {name(WHOLE)}")
        return f"SELECT {', '.join(picked)} FROM {files} LEFT JOIN {whole} ON {name(BATCH)} = _digest"  # noqa: S608

    def compiler(self, typer: Typer | None = None) -> Compiler:
        """A compiler of trees over this relation."""
        return Compiler(self._dialect, typer or self._typer, self._columns, self.annotations)

    def value(self, tree: ast.Expr) -> Value:
        """SQL of `tree`, whose windows and lookups become columns. Raises NotCheckableError."""
        self._annotate(tree)
        return self.compiler().value(tree)

    def text(self, levels: int | None = None) -> str:
        """The SELECT of all columns, or of those of the first levels."""
        text = self._base
        for level in self._levels[1 : None if levels is None else levels + 1]:
            text = f"SELECT {', '.join(['p.*', *level.columns])} FROM ({text}) p {' '.join(level.joins)}"  # noqa: S608
        return text

    # ---- one column per node ---------------------------------------------------------------------------------------

    def _annotate(self, node: ast.Expr) -> int:
        """Make columns of the nodes in a tree; the level from which on all of them are there."""
        level = max((self._annotate(child) for child in node.children()), default=0)
        if not isinstance(node, ANNOTATED):
            return level
        if node in self._refused:
            raise NotCheckableError(self._refused[node])
        if node not in self._level_of:
            try:
                value = self._made(node, level + 1)
            except NotCheckableError as error:
                self._refused[node] = str(error)
                raise
            name = f"_x{len(self.annotations)}"
            self._at(level + 1).columns.append(f"{value.text} AS {name}")
            self.annotations[node] = Value(name, value.form)
            self._level_of[node] = level + 1
        return self._level_of[node]

    def _at(self, level: int) -> _Level:
        while len(self._levels) <= level:
            self._levels.append(_Level())
        return self._levels[level]

    def _made(self, node: ast.Expr, level: int) -> Value:
        if isinstance(node, ast.Lookup):
            return self._lookup(node, level)
        if isinstance(node, ast.InSession):
            return self._in_session(node, level)
        if isinstance(node, BarFault):
            raise NotCheckableError(
                "faults of adjusted bars are found over a whole series of bars, which SQL cannot say"
            )
        if not self._source.ordered:
            raise NotCheckableError("it compares rows in order of arrival, and these files have no `_batch` and `_row`")
        if self._source.whole is None:
            raise NotCheckableError(
                "it compares rows in order of arrival, and which rows did not land is not recorded here"
            )
        return self._window(node, level)

    def _window(self, node: ast.Expr, level: int) -> Value:
        by = [self._columns(name) for name in getattr(node, "by", ())]
        if isinstance(node, ast.SeenBefore):
            return self._windows.seen_before(by)
        if isinstance(node, ast.CarriedBest):
            return self._carried_best(node, level, by)
        operand = self.compiler().value(getattr(node, "operand", ast.Null()))
        if isinstance(node, ast.Rolling):
            # Of the bits that the values need, not those that the column could hold: nearly all prices qualify.
            bits = self._needed_bits(operand, level) + node.rows.bit_length()
            return self._windows.rolling(node, operand, by, bits)
        return self._windows.value(node, operand, by)

    def _needed_bits(self, operand: Value, level: int) -> int:
        if operand.form not in (Form.LONG, Form.WIDE):
            return 0
        sql = f"SELECT min({operand.text}), max({operand.text}) FROM ({self.text(level - 1)}) p"  # noqa: S608
        ((low, high),) = self._database.rows(sql)
        return 0 if low is None or high is None else max(-int(low), int(high)).bit_length()

    def _carried_best(self, node: ast.CarriedBest, level: int, by: Sequence[Value]) -> Value:
        across = self._columns(node.across)
        sql = f"SELECT DISTINCT {across.text} FROM ({self.text(level - 1)}) p LIMIT {_ACROSS_MAX + 2}"  # noqa: S608
        met = sorted(row[0] for row in self._database.rows(sql) if row[0] is not None)
        if len(met) > _ACROSS_MAX:
            raise NotCheckableError(f"column {node.across} holds more than {_ACROSS_MAX} distinct values")
        parts = [
            ast.IfElse(ast.Compare("==", ast.Col(node.across), ast.Lit(one)), node.operand, ast.Null()) for one in met
        ]
        compiler = self.compiler()
        if not parts:
            return compiler.value(ast.IfElse(ast.Lit(value=False), node.operand, ast.Null()))
        return self._windows.carried_best(node, [compiler.value(part) for part in parts], by)

    def _in_session(self, node: ast.InSession, level: int) -> Value:
        operand = self.compiler().value(node.operand)
        if operand.form != Form.LONG:
            raise NotCheckableError(f"it asks whether {operand.form} is in a session")
        day = self._dialect.quotient.format(operand.text, DAY_NS)
        sql = f"SELECT DISTINCT {day} FROM ({self.text(level - 1)}) p"  # noqa: S608
        days = [int(row[0]) for row in self._database.rows(sql) if row[0] is not None]
        table = self._database.add(session_days(self._references, node.calendar, days))
        joins = self._at(level).joins
        alias = f"j{len(joins)}"
        meets = f"{alias}._day = {day} AND {operand.text} >= {alias}._opens AND {operand.text} < {alias}._closes"
        joins.append(f"LEFT JOIN {table} {alias} ON {meets}")
        return Value(f"(CASE WHEN {operand.text} IS NOT NULL THEN {alias}._day IS NOT NULL END)", Form.BOOLEAN)

    def _lookup(self, node: ast.Lookup, level: int) -> Value:
        if node.table not in self._references.tables:
            raise NotCheckableError(f"reference table {node.table} is not given")
        table = self._references.tables[node.table]
        by = tuple(dict(zip(node.keys, node.by, strict=True))[key] for key in table.keys)
        joins = self._at(level).joins
        if (node.table, by) not in self._lookups:
            self._lookups[node.table, by] = self._joined(node, by, joins)
        alias, names = self._lookups[node.table, by]
        return Value(f"{alias}.{names[node.column]}", FORM_OF_KIND[self._typer.of(node).kind])

    def _joined(self, node: ast.Lookup, by: tuple[str, ...], joins: list[str]) -> tuple[str, dict[str, str]]:
        """The join of a reference table by these columns, and the names of its columns."""
        table = self._references.tables[node.table]
        rows, versioned = versions(table)
        names = {name: f"_r{index}" for index, name in enumerate(rows.columns)}
        alias = f"j{len(joins)}"
        meets = []
        for key, name in zip(table.keys, by, strict=True):
            own, other = self._typer.of(ast.Col(name)), self._typer.of(ast.Lookup(node.table, key, by, table.keys))
            if (own.kind, own.scale) != (other.kind, other.scale) or FORM_OF_KIND[own.kind] == Form.DOUBLE:
                raise NotCheckableError(
                    f"key {key} of table {node.table} is {other.kind}, and column {name} is {own.kind}"
                )
            meets.append(f"{self._columns(name).text} = {alias}.{names[key]}")
        if versioned is not None:
            event = self._columns(self._contract.event_time.name).text
            first, last = (f"{alias}.{names[name]}" for name in versioned)
            meets += [f"{event} >= {first}", f"{event} <= {last}"]
        joins.append(f"LEFT JOIN {self._database.add(rows.rename(names))} {alias} ON {' AND '.join(meets)}")
        return alias, names
