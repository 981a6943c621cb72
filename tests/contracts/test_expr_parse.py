"""The rule language: what it means, what it refuses and where, and that printing it back loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapehouse.contracts import expr as e
from tapehouse.contracts.expr_parse import ExpressionError, parse_expression
from tapehouse.contracts.expr_print import unparse
from tapehouse.contracts.expr_types import type_of
from tapehouse.contracts.model import Kind
from tapehouse.contracts.rules.base import RuleScope
from tapehouse.contracts.units import Unit

PRICE, TICK, SIZE, SYM, TS, RX = (e.Col(name) for name in ("price", "tick", "size", "sym", "ts", "rx"))
HOUR = 3_600_000_000_000


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("price > 1.5", e.Compare(">", PRICE, e.Lit(1_500_000, Unit.PRICE))),
        ("-3 < size", e.Compare("<", e.Lit(-3, Unit.SIZE), SIZE)),
        ("price < tick", e.Compare("<", PRICE, e.Arith("*", TICK, e.Lit(100)))),
        ("rx - ts > 1h", e.Compare(">", e.Arith("-", RX, TS), e.Lit(HOUR, Unit.DURATION))),
        ("rx > '1970-01-01T00:00:01.5Z'", e.Compare(">", RX, e.Lit(1_500_000_000, Unit.TIME))),
        ("rx > '1970-01-01T01:00:00+01:00'", e.Compare(">", RX, e.Lit(0, Unit.TIME))),
        ("sym is not null", e.Not(e.IsNull(SYM))),
        ("sym not in ('A', 'it''s')", e.Not(e.InSet(SYM, ("A", "it's")))),
        ("price in (1, 2.5)", e.InSet(PRICE, (1_000_000, 2_500_000))),
        ("sym matches '[A-Z]+'", e.Matches(SYM, "[A-Z]+")),
        ("failed(price) or price is null", e.AnyOf((e.ParseFailed("price"), e.IsNull(PRICE)))),
        ("not ok and ok or ok", e.AnyOf((e.All((e.Not(e.Col("ok")), e.Col("ok"))), e.Col("ok")))),
        ("not in_session(ts, xnys)", e.Not(e.InSession(TS, "xnys"))),
        ("seen_before(sym, size)", e.SeenBefore(("sym", "size"))),
        ("has_bits(flags, 32)", e.HasBits(e.Col("flags"), 32)),
        ("day >= '2024-03-08'", e.Compare(">=", e.Col("day"), e.Lit("2024-03-08"))),
        ("ok == true", e.Compare("==", e.Col("ok"), e.Lit(True))),
        ("size%100 == 0", e.Compare("==", e.Arith("%", SIZE, e.Lit(100, Unit.SIZE)), e.Lit(0, Unit.SIZE))),
        ("price > previous(price, by: sym)", e.Compare(">", PRICE, e.Previous(PRICE, ("sym",)))),
        (
            "price > lookup(symbols.ref by sym)",
            e.Compare(">", PRICE, e.Lookup("symbols", "ref", ("sym",), ("symbol",))),
        ),
        ("ratio > 20%", e.Compare(">", e.Col("ratio"), e.Lit(0.2, Unit.RATIO))),
        (
            "price > if(ok, tick, null)",
            e.Compare(">", PRICE, e.Arith("*", e.IfElse(e.Col("ok"), TICK, e.Null()), e.Lit(100))),
        ),
    ],
)
def test_meaning(text: str, tree: e.Expr, scope: RuleScope) -> None:
    assert parse_expression(text, scope) == tree


def test_percentage_of_a_price_stays_exact(scope: RuleScope) -> None:
    tree = parse_expression("price > 20% * tick", scope)
    # tick has 4 decimals and a percentage 4: the product has 8, so the price of 6 is brought to 8.
    assert tree == e.Compare(">", e.Arith("*", PRICE, e.Lit(100)), e.Arith("*", e.Lit(2000, Unit.RATIO), TICK))


def test_precedence_and_brackets(scope: RuleScope) -> None:
    flat = parse_expression("size - size - size > size * 2 + size", scope)
    assert flat == e.Compare(
        ">",
        e.Arith("-", e.Arith("-", SIZE, SIZE), SIZE),
        e.Arith("+", e.Arith("*", SIZE, e.Lit(2)), SIZE),
    )
    assert parse_expression("(ok and ok) and ok", scope) != parse_expression("ok and ok and ok", scope)


def test_division_takes_prices_as_written(scope: RuleScope) -> None:
    tree = parse_expression("price / tick > 1.5", scope)
    assert tree == e.Compare(">", e.Arith("/", e.ToDouble(PRICE), e.ToDouble(TICK)), e.Lit(1.5, Unit.RATIO))
    assert parse_expression("price / price > 2", scope).children().__next__() == e.Arith("/", PRICE, PRICE)


def test_average_of_decimals_is_of_doubles(scope: RuleScope) -> None:
    tree = parse_expression("to_double(price) > 2 * rolling_median(price, 5, by: sym)", scope)
    assert e.Rolling("median", e.ToDouble(PRICE), 5, ("sym",)) in tree.walk()
    assert type_of(e.Rolling("median", e.ToDouble(PRICE), 5, ("sym",)), scope).kind == Kind.DOUBLE
    assert e.Rolling("max", PRICE, 5, ()) in parse_expression("price > rolling_max(price, 5)", scope).walk()


def test_value_expression(scope: RuleScope) -> None:
    assert parse_expression("rx - ts", scope, condition=False) == e.Arith("-", RX, TS)
    with pytest.raises(ExpressionError, match="condition is needed"):
        parse_expression("rx - ts", scope)


@pytest.mark.parametrize(
    ("text", "at", "words", "hint"),
    [
        ("price > size", "price > size", "a price compared with a size", ""),
        ("price > 0.1234567", "0.1234567", "more decimals", "at most 6"),
        ("size == 1.5", "1.5", "more decimals", "whole number"),
        ("prce > 1", "prce", "no column 'prce'", "did you mean 'price'?"),
        ("sym = 'A'", "=", "no meaning", "=="),
        ("sym in ('A', 'B',)", ")", "unexpected", "trailing comma"),
        ("sym in ()", ")", "unexpected", "empty set"),
        ("sym in ('A', 'A')", "'A')", "twice", ""),
        ("size > '3'", "'3'", "text '3' beside size", "quote a number"),
        ("sym > 3", "3", "number 3 beside text", "quote it"),
        ("1 < size < 3", "< 3", "unexpected '<'", "a < b and b < c"),
        ("sym matches '[A-Z'", "[A-Z'", "not a regular expression", ""),
        ("sym matches 'a(?=b)'", "'a(?", "look-around", ""),
        ("price * 1.5 > 1", "1.5", "times 1.5", "150"),
        ("price > 20%", "20%", "percentage", "20% of what?"),
        ("money / size > price", "price", "beside a double", "to_double"),
        ("price + size > 1", "price + size", "means nothing", ""),
        ("price * price > 1", "price * price", "means nothing", ""),
        ("flags * price > 1", "flags * price", "means nothing", "tapehouse.unit"),
        ("ts > rx + rx", "rx + rx", "means nothing", ""),
        ("rx - ts > 5", "5", "duration", "5s"),
        ("rx > 0", "0", "beside a time", "instant"),
        ("rx > 'yesterday'", "'yesterday'", "not an instant", "ISO 8601"),
        ("rx > '2024-13-01T00:00:00Z'", "'2024", "not an instant", "ISO 8601"),
        ("day > '2024-02-30'", "'2024", "not a date", "ISO 8601"),
        ("price > 1e5", "1e5", "neither a number nor a duration", "exponent"),
        ("price == null", "null", "unexpected", "is null"),
        ("price", "price", "condition is needed", "compare"),
        ("price > 1)", ")", "unexpected", "bracket too many"),
        ("(price > 1", "", "unexpected end", "')'"),
        ("sym == 'A", "'A", "without closing quote", "add a '"),
        ("lookup(symbols.reff by sym) > 1", "reff", "no column of symbols", "'ref'"),
        ("lookup(symbol.ref by sym) > 1", "symbol.", "no reference table", "'symbols'"),
        ("lookup(symbols.ref by sym, ts) > 1", "lookup", "by 2 columns", "1, one per key"),
        ("in_session(ts, xnas)", "xnas", "no calendar", "xnys"),
        ("in_session(price, xnys)", "price", "in_session of price", "a time"),
        ("rollin_median(price, 3) > 1", "rollin", "no function", "rolling_median"),
        ("rolling_median(price, 0) > 1", "0)", "count is needed", "from 1"),
        ("1 > 2", "1 > 2", "two constants", "column"),
        ("ok < true", "ok < true", "no order", "=="),
        ("price > 99999999999999", "99999999999999", "too large", "64 bits"),
        ("", "", "unexpected end", "a column"),
    ],
)
def test_mistakes_are_named_and_placed(text: str, at: str, words: str, hint: str, scope: RuleScope) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, scope)
    error = caught.value
    assert words in error.message
    assert hint in f"{error.allowed} {error.guess}"
    assert text[error.offset :].startswith(at)
    assert error.text == text


@pytest.mark.parametrize(
    "text", ["(" * 5000 + "ok" + ")" * 5000, "not " * 5000 + "ok", "-" * 5000 + "size > 1", "abs(" * 900]
)
def test_deep_nesting_is_refused_not_a_crash(text: str, scope: RuleScope) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text, scope)


def test_too_long_is_refused(scope: RuleScope) -> None:
    with pytest.raises(ExpressionError, match="characters"):
        parse_expression("ok or " * 2000 + "ok", scope)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_parses_or_is_refused(text: str) -> None:
    empty = RuleScope({}, {}, {})
    with pytest.raises(ExpressionError):
        parse_expression(text.replace("true", "").replace("false", ""), empty)


# ---- printing ----------------------------------------------------------------------------------------------------

_NUMBERS = st.sampled_from(
    ["price", "tick", "size", "money", "ratio", "flags", "(rx - ts)", "lookup(symbols.ref by sym)"]
)
_CONSTANTS = st.sampled_from(["0", "1.25", "100", "-3", "20%", "1h", "1500ms", "2"])


def _numbers(inner: st.SearchStrategy[str], truth: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operand = inner | _CONSTANTS
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), operand).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(operand, st.sampled_from("+-*/%"), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
        inner.map(lambda a: f"-{a}"),
        inner.map(lambda a: f"abs({a})"),
        inner.map(lambda a: f"to_double({a})"),
        inner.map(lambda a: f"previous({a}, by: sym)"),
        inner.map(lambda a: f"carried({a})"),
        st.tuples(st.sampled_from(["median", "mean", "min", "max", "sum"]), inner).map(
            lambda t: f"rolling_{t[0]}({t[1]}, 5)"
        ),
        st.tuples(st.sampled_from(["greatest", "least", "coalesce"]), inner, operand).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        ),
        st.tuples(truth, inner, operand | st.just("null")).map(lambda t: f"if({t[0]}, {t[1]}, {t[2]})"),
    )


_TRUTHS = st.sampled_from(
    ["ok", "true", "failed(price)", "sym is null", "sym in ('A', 'B''C')", "ts < rx", "in_session(ts, xnys)",
     "seen_before(sym, size)", "sym matches 'A.*'", "ts >= '2024-01-01T00:00:00.5Z'", "has_bits(flags, 5)"]
)  # fmt: skip


def _truths(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    number = st.recursive(_NUMBERS, lambda below: _numbers(below, _TRUTHS), max_leaves=4)
    return st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
        inner.map(lambda a: f"not {a}"),
        inner.map(lambda a: f"({a}) is not null"),
        st.tuples(inner, inner).map(lambda t: f"({t[0]}) == ({t[1]})"),
        st.tuples(number, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), number | _CONSTANTS).map(" ".join),
        st.tuples(number, st.sampled_from(["in", "not in"])).map(lambda t: f"{t[0]} {t[1]} (1, 3)"),
    )


@given(st.recursive(_TRUTHS, _truths, max_leaves=6))
@settings(max_examples=600, deadline=None)
def test_printed_trees_read_back_equal(scope: RuleScope, text: str) -> None:
    try:
        tree = parse_expression(text, scope)
    except ExpressionError:
        return  # units that do not go together
    printed = unparse(tree, scope)
    assert parse_expression(printed, scope) == tree, printed


@pytest.mark.parametrize(
    "text",
    [
        "price > 1.5",
        "price < tick",
        "tick == price + 0.01",
        "abs(price - lookup(symbols.ref by sym)) > 20% * lookup(symbols.ref by sym)",
        "rx - ts > 90s",
        "not (ok and sym is null)",
        "price / tick > 1.5 or ratio * 20% is null",
        "size - (size - size) > 0",
        "ts > '2024-03-08T14:30:00.000000001Z'",
    ],
)
def test_printing_writes_what_people_write(text: str, scope: RuleScope) -> None:
    tree = parse_expression(text, scope)
    if "/" not in text:  # a quotient of different decimals shows its conversion
        assert unparse(tree, scope) == text
    assert parse_expression(unparse(tree, scope), scope) == tree
