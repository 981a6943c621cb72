"""Rules on one row alone: broken and sound rows, nulls, and both sides of each bound."""

from __future__ import annotations

from typing import Any

import pytest

SECOND, HOUR = 10**9, 3600 * 10**9
NOON = 1_381_168_800 * SECOND  # 2013-10-07 18:00 UTC, a Monday, 14:00 in New York

CASES: list[tuple[str, dict[str, Any], str, dict[str, list[Any]], list[int]]] = [
    ("valid", {"rule": "valid"}, "price", {"price": [1, None, None], "_failed_price": [False, True, False]}, [1]),
    ("valid without failures", {"rule": "valid"}, "price", {"price": [1, None]}, []),
    (
        "positive",
        {"rule": "valid", "positive": True},
        "ts_recv",
        {"ts_recv": [1, 0, -1, None, None], "_failed_ts_recv": [False, False, False, True, False]},
        [1, 2, 3],
    ),
    ("not positive", {"rule": "valid", "positive": False}, "ts_recv", {"ts_recv": [0, -1]}, []),
    ("required", {"rule": "required"}, "price", {"price": [1, None, None], "_failed_price": [False, True, False]}, [2]),
    ("required text", {"rule": "not_null"}, "symbol", {"symbol": ["", "NA", None]}, [2]),
    ("min", {"rule": "range", "min": 0}, "price", {"price": [-1, 0, 1, None]}, [0]),
    ("min exclusive", {"rule": "range", "min": 0, "minExclusive": True}, "price", {"price": [-1, 0, 1, None]}, [0, 1]),
    ("min inclusive", {"rule": "range", "min": 0, "minExclusive": False}, "price", {"price": [-1, 0]}, [0]),
    ("max text", {"rule": "range", "max": "0.0003"}, "price", {"price": [2, 3, 4]}, [2]),
    ("max float", {"rule": "range", "max": 0.3, "maxExclusive": True}, "price", {"price": [2999, 3000]}, [1]),
    ("both", {"rule": "range", "min": 1, "max": 2}, "size", {"size": [0, 1, 2, 3, None]}, [0, 3]),
    ("double", {"rule": "range", "max": 0.5}, "close", {"close": [0.5, 0.50001]}, [1]),
    ("instant", {"rule": "range", "min": "2013-10-07T18:00:00Z"}, "ts_event", {"ts_event": [NOON - 1, NOON]}, [0]),
    (
        "set",
        {"rule": "set", "values": ["XNAS", "XNYS"]},
        "venue",
        {"venue": ["XNAS", "xnas", None, "XNYS", ""]},
        [1, 4],
    ),
    (
        "set without null",
        {"rule": "set", "values": ["XNAS"], "allowNull": False},
        "venue",
        {"venue": ["XNAS", None], "_failed_venue": [False, False]},
        [1],
    ),
    ("set with null", {"rule": "set", "values": ["XNAS"], "allowNull": True}, "venue", {"venue": ["XNAS", None]}, []),
    ("set of prices", {"rule": "set", "values": ["0.5", 1]}, "price", {"price": [5000, 10000, 1]}, [2]),
    ("set of booleans", {"rule": "set", "values": [True]}, "flagged", {"flagged": [True, False, None]}, [1]),
    (
        "regex",
        {"rule": "regex", "pattern": "[A-Z]{1,3}|x"},
        "symbol",
        {"symbol": ["AIG", "AIGG", "x", "xA", None]},
        [1, 3],
    ),
    ("regex and line break", {"rule": "regex", "pattern": "A$"}, "symbol", {"symbol": ["A", "A\n"]}, [1]),
    ("regex dot", {"rule": "regex", "pattern": "^A.*"}, "symbol", {"symbol": ["A1", "A\nB", "BA"]}, [1, 2]),
    ("skew", {"rule": "clock_skew"}, "", {"ts_event": [5, 5, 5, None], "ts_recv": [4, 5, None, 5]}, [0]),
    ("skew within", {"rule": "clock_skew", "tolerance": "2ns"}, "", {"ts_event": [5, 5], "ts_recv": [2, 3]}, [0]),
    ("late", {"rule": "lateness", "max": "1h"}, "", {"ts_event": [0, 0], "ts_recv": [HOUR, HOUR + 1]}, [1]),
    (
        "late at the ends of time",
        {"rule": "lateness", "max": "1h"},
        "",
        {"ts_event": [-(2**63), 2**63 - 1], "ts_recv": [2**63 - 1, -(2**63)]},
        [0],
    ),
    (
        "session",
        {"rule": "session", "calendar": "us"},
        "ts_event",
        {
            "ts_event": [
                NOON,
                NOON - 4 * HOUR - HOUR // 2 - 1,
                NOON - 4 * HOUR - HOUR // 2,
                NOON + 2 * HOUR - 1,
                NOON + 2 * HOUR,
                None,
                NOON - 48 * HOUR,
            ]
        },
        [1, 4, 6],
    ),
    (
        "ohlc",
        {"rule": "ohlc"},
        "",
        {
            "open": [100, 100, 100, 201, 100, None],
            "high": [200, 99, 200, 200, 200, 200],
            "low": [50, 50, 101, 50, 50, 50],
            "close": [1.5, 0.7, 1.5, 1.5, 2.01, 2.0],
        },
        [1, 2, 3, 4],
    ),
    ("tick", {"rule": "tick_size", "tick": "0.01"}, "price", {"price": [100, 150, 0, -100, -150, None]}, [1, 4]),
    ("tick from", {"rule": "tick_size", "tick": 0.01, "atLeast": "1"}, "price", {"price": [9999, 10001, 10100]}, [1]),
    (
        "expression",
        {"rule": "expression", "broken": "ts_recv < ts_event"},
        "",
        {"ts_event": [2, 2], "ts_recv": [1, 2]},
        [0],
    ),
]


@pytest.mark.parametrize(
    ("implementation", "on", "rows", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_broken_rows(broken, implementation, on, rows, expected) -> None:
    assert broken(implementation, rows, on) == expected


SYMBOLS = "symbol,ref_price,tick\nAIG,50.00,0.01\nNA,0.50,0.0001\nODD,,\n"


def test_known_key(broken) -> None:
    rows = {"symbol": ["AIG", "NA", "ODD", "aig", None, ""]}
    assert broken({"rule": "known", "table": "symbols"}, rows, "symbol", symbols=SYMBOLS) == [3, 5]


def test_known_as_of_the_event(broken) -> None:
    listings = "venue,symbol,since,tick\nXNYS,AIG,2013-10-07T18:00:00Z,0.01\nXNYS,AIG,2014-01-01,0.05\n"
    rows = {
        "venue": ["XNYS"] * 4 + ["XNAS", "XNYS"],
        "symbol": ["AIG"] * 4 + ["AIG", None],
        "ts_event": [NOON, NOON - 1, None, NOON + 10**18, NOON, NOON],
    }
    assert broken({"rule": "known", "table": "listings"}, rows, listings=listings) == [1, 4]


def test_tick_as_of_the_event(bench) -> None:
    listings = "venue,symbol,since,tick\nXNYS,AIG,2013-10-07,0.01\nXNYS,AIG,2013-10-08,0.05\n"
    rows = {
        "venue": ["XNYS"] * 4,
        "symbol": ["AIG"] * 4,
        "price": [100, 100, 150, 500],
        "ts_event": [NOON, NOON + 24 * HOUR, NOON, NOON + 24 * HOUR],
    }
    rule = {"rule": "tick_size", "reference": {"table": "listings", "column": "tick"}}
    found, reasons = bench.judge(rule, rows, "price", listings=listings)
    assert found == [1, 2]
    assert reasons == [("0.0100", "a multiple of 0.0500"), ("0.0150", "a multiple of 0.0100")]


def test_band_around_a_reference(bench) -> None:
    rule = {"rule": "price_band", "reference": {"table": "symbols", "column": "ref_price"}, "max": "20%"}
    rows = {
        "symbol": ["AIG", "AIG", "AIG", "AIG", "NONE", "ODD", "AIG"],
        "price": [400_000, 399_999, 600_000, 600_001, 1, 1, None],
    }
    found, reasons = bench.judge(rule, rows, "price", symbols=SYMBOLS)
    assert found == [1, 3]
    assert reasons[0] == ("39.9999", "within 20% of the reference price 50.0000")


def test_band_is_exact_for_large_prices(bench) -> None:
    """In 64 bits the product wraps; in doubles the two prices are the same."""
    rule = {"rule": "price_band", "reference": {"table": "symbols", "column": "ref_price"}, "max": "1%"}
    symbols = "symbol,ref_price,tick\nBIG,900000000000000.0000,\n"
    limit = 9_090_000_000_000_000_000
    found, _ = bench.judge(rule, {"symbol": ["BIG", "BIG"], "price": [limit, limit + 1]}, "price", symbols=symbols)
    assert found == [1]
