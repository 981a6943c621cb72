"""Functions of the rule language: how each reads its arguments and what tree it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, cast

from tapehouse.contracts import expr as e
from tapehouse.contracts.expr_constants import Span, Term, kind_name, typed
from tapehouse.contracts.expr_terms import unify
from tapehouse.contracts.expr_types import NUMERIC
from tapehouse.contracts.model import Kind

if TYPE_CHECKING:
    from tapehouse.contracts.expr_parse import Parser

MAX_WINDOW_ROWS = 10_001
_STATISTICS = ("median", "mean", "min", "max", "sum")


def _numeric(parser: Parser, term: Term, name: str) -> Term:
    term = parser.settled(term)
    if term.type.kind not in NUMERIC:
        raise term.span.error(f"{name} of {kind_name(term.type)}", "a number")
    return term


def _absolute(parser: Parser, span: Span) -> e.Expr:
    del span
    return e.Abs(cast(e.Expr, _numeric(parser, parser.argument(), "abs").tree))


def _double(parser: Parser, span: Span) -> e.Expr:
    del span
    term = _numeric(parser, parser.argument(), "to_double")
    if term.type.kind == Kind.TIMESTAMP:
        raise term.span.error("to_double of a time", "a number or a duration")
    return e.ToDouble(cast(e.Expr, term.tree))


def _several(node: type[e.Greatest] | type[e.Least] | type[e.Coalesce]) -> Callable[[Parser, Span], e.Expr]:
    def build(parser: Parser, span: Span) -> e.Expr:
        terms = parser.arguments()
        if len(terms) < 2:
            raise span.error("a single argument", "two or more")
        return node(tuple(unify(terms, parser.scope, "together")))

    return build


def _if(parser: Parser, span: Span) -> e.Expr:
    condition = parser.condition()
    parser.comma()
    then = parser.argument_or_null()
    parser.comma()
    otherwise = parser.argument_or_null()
    solid = [term for term in (then, otherwise) if not isinstance(term.tree, e.Null)]
    if not solid:
        raise span.error("an `if` without a value")
    chosen = iter(unify(solid, parser.scope, "as alternative"))
    return e.IfElse(
        condition, *(e.Null() if isinstance(term.tree, e.Null) else next(chosen) for term in (then, otherwise))
    )


def _window(
    node: type[e.Previous] | type[e.Carried] | type[e.Next] | type[e.RunningMax],
) -> Callable[[Parser, Span], e.Expr]:
    def build(parser: Parser, span: Span) -> e.Expr:
        del span
        term = parser.settled(parser.argument())
        if node is e.RunningMax:
            term = _numeric(parser, term, "running_max")
        return node(cast(e.Expr, term.tree), parser.by())

    return build


def _rolling(statistic: str) -> Callable[[Parser, Span], e.Expr]:
    def build(parser: Parser, span: Span) -> e.Expr:
        del span
        term = _numeric(parser, parser.argument(), f"rolling_{statistic}")
        parser.comma()
        rows = parser.whole_number(1, MAX_WINDOW_ROWS)
        tree = cast(e.Expr, term.tree)
        if statistic in ("median", "mean") and term.type.scale:
            tree = e.ToDouble(tree)  # an average of scaled integers is no scaled integer
        name = cast(Literal["median", "mean", "min", "max", "sum"], statistic)
        return e.Rolling(name, tree, rows, parser.by())

    return build


def _in_session(parser: Parser, span: Span) -> e.Expr:
    term = parser.settled(parser.argument())
    if term.type.kind != Kind.TIMESTAMP:
        raise term.span.error(f"in_session of {kind_name(term.type)}", "a time")
    parser.comma()
    calendar = parser.name("calendar", parser.scope.calendars)
    del span
    return e.InSession(cast(e.Expr, term.tree), calendar)


def _lookup(parser: Parser, span: Span) -> e.Expr:
    table = parser.name("reference table", parser.scope.references)
    parser.expect(".")
    reference = parser.scope.references[table]
    column = parser.name(f"column of {table}", (*reference.columns, *reference.keys))
    by = parser.by_columns()
    if len(by) != len(reference.keys):
        wanted = f"{len(reference.keys)}, one per key: {', '.join(reference.keys)}"
        raise span.error(f"lookup in {table} by {len(by)} columns", wanted)
    return e.Lookup(table, column, by, reference.keys)


def _has_bits(parser: Parser, span: Span) -> e.Expr:
    del span
    term = parser.settled(parser.argument())
    if term.type.kind != Kind.INTEGER:
        raise term.span.error(f"has_bits of {kind_name(term.type)}", "an integer")
    parser.comma()
    return e.HasBits(cast(e.Expr, term.tree), parser.whole_number(1, (1 << 63) - 1))


def _failed(parser: Parser, span: Span) -> e.Expr:
    del span
    return e.ParseFailed(parser.name("column", parser.scope.columns))


def _seen_before(parser: Parser, span: Span) -> e.Expr:
    del span
    return e.SeenBefore(parser.columns())


FUNCTIONS: dict[str, Callable[[Parser, Span], e.Expr]] = {
    "abs": _absolute,
    "carried": _window(e.Carried),
    "coalesce": _several(e.Coalesce),
    "failed": _failed,
    "greatest": _several(e.Greatest),
    "has_bits": _has_bits,
    "if": _if,
    "in_session": _in_session,
    "least": _several(e.Least),
    "lookup": _lookup,
    "next": _window(e.Next),
    "previous": _window(e.Previous),
    "running_max": _window(e.RunningMax),
    "seen_before": _seen_before,
    "to_double": _double,
} | {f"rolling_{statistic}": _rolling(statistic) for statistic in _STATISTICS}


def call(name: str, parser: Parser, span: Span) -> Term:
    """Term of the function `name`, whose opening bracket is the parser's next token."""
    parser.expect("(")
    tree = FUNCTIONS[name](parser, span)
    return typed(tree, parser.scope, span.to(parser.close()))
