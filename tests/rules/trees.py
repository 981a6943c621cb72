"""Rule trees and rows as Hypothesis makes them, with the extremes of 64 bits among the numbers."""

from __future__ import annotations

import datetime as dt

import hypothesis.strategies as st
from naive import COMPARE

from tapehouse.contracts import expr as e

# The versions of `naive.AS_OF`, as a file.
LISTINGS = """venue,symbol,since,tick
X,A,1970-01-01T00:00:00.000000003Z,0.01
X,A,1970-01-01T00:00:00.000000006Z,0.05
Y,B,1970-01-01,0.1
"""
MONDAY_OPEN_NS = int(dt.datetime(2013, 10, 7, 13, 30, tzinfo=dt.UTC).timestamp()) * 10**9

EXTREMES = [-(2**63), -(2**63) + 1, -1, 0, 1, 2, 3, 7, 2**53 + 1, 2**62, 2**63 - 1]
SMALL = st.one_of(st.none(), st.integers(-9, 9))
ROW = st.fixed_dictionaries(
    {
        "ts_event": st.one_of(st.none(), st.integers(0, 9)),
        "ts_recv": st.one_of(st.none(), st.integers(MONDAY_OPEN_NS - 2 * 10**9, MONDAY_OPEN_NS + 2 * 10**9)),
        "symbol": st.sampled_from([None, "A", "B", ""]),
        "venue": st.sampled_from([None, "X", "Y"]),
        "price": st.one_of(st.none(), st.sampled_from(EXTREMES), st.integers(-9, 9)),
        "size": st.one_of(st.none(), st.sampled_from(EXTREMES), st.integers(-9, 9)),
        "sequence": SMALL,
        "_failed_price": st.booleans(),
    }
)
BY = st.sampled_from([(), ("symbol",), ("symbol", "venue")])
LEAF = st.one_of(
    st.sampled_from([e.Col("price"), e.Col("size"), e.Col("sequence")]),
    st.sampled_from(EXTREMES).map(e.Lit),
    st.just(e.Lookup("listings", "tick", ("venue", "symbol"), ("venue", "symbol"))),
)
PRODUCT = st.builds(e.Arith, st.just("*"), LEAF, LEAF)
SEQUENCE = st.just(e.Col("sequence"))


def _windows(inner: st.SearchStrategy[e.Expr]) -> st.SearchStrategy[e.Expr]:
    return st.one_of(
        st.builds(e.Previous, inner, BY),
        st.builds(e.Carried, inner, BY),
        st.builds(e.RunningMax, inner, BY),
        st.builds(
            e.CarriedBest, inner, st.sampled_from([(), ("symbol",)]), st.just("venue"), st.sampled_from(["max", "min"])
        ),
    )


def _numbers(inner: st.SearchStrategy[e.Expr]) -> st.SearchStrategy[e.Expr]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.builds(e.Arith, st.sampled_from(["+", "-", "%"]), inner, inner),
        st.builds(e.Abs, inner),
        pairs.map(e.Greatest),
        pairs.map(e.Least),
        pairs.map(e.Coalesce),
        st.builds(
            e.IfElse, st.builds(e.Compare, st.just("<"), inner, inner), inner, st.one_of(inner, st.just(e.Null()))
        ),
        _windows(inner),
    )


EXACT = st.recursive(LEAF, _numbers, max_leaves=5)
DOUBLE = st.one_of(
    st.builds(e.Arith, st.just("/"), EXACT, EXACT),
    st.builds(e.ToDouble, st.sampled_from([e.Col("price"), e.Col("size")])),
)
WHOLE_BATCH = st.one_of(
    st.builds(e.Next, SEQUENCE, BY),
    st.builds(e.Rolling, st.sampled_from(["median", "mean", "min", "max", "sum"]), SEQUENCE, st.integers(1, 6), BY),
)
OPERATORS = st.sampled_from(list(COMPARE))
TESTS = st.one_of(
    st.builds(e.Compare, OPERATORS, EXACT, EXACT),
    st.builds(e.Compare, OPERATORS, PRODUCT, PRODUCT),
    st.builds(e.Compare, OPERATORS, DOUBLE, DOUBLE),
    EXACT.map(e.IsNull),
    st.builds(e.InSet, st.just(e.Col("symbol")), st.sampled_from([("A",), ("A", "C"), ("",)])),
    st.builds(e.InSet, st.just(e.Col("size")), st.sampled_from([(1, 2), (2**63 - 1,)])),
    st.builds(e.Matches, st.just(e.Col("symbol")), st.sampled_from(["A", "[AB]?", "", "A|"])),
    st.builds(e.HasBits, SEQUENCE, st.sampled_from([0, 1, 6])),
    st.just(e.ParseFailed("price")),
    st.just(e.InSession(e.Col("ts_recv"), "us")),
)


def _logic(inner: st.SearchStrategy[e.Expr]) -> st.SearchStrategy[e.Expr]:
    many = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(inner.map(e.Not), many.map(e.All), many.map(e.AnyOf), st.builds(e.Previous, inner, BY))


CONDITIONS = st.recursive(TESTS, _logic, max_leaves=4)
BATCH_TESTS = st.one_of(
    st.builds(e.Compare, OPERATORS, WHOLE_BATCH, SEQUENCE),
    st.sampled_from([("symbol",), ("symbol", "venue"), ("sequence",)]).map(e.SeenBefore),
)
BATCH = st.lists(ROW, min_size=1, max_size=12)
