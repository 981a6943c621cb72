"""The bitmask, the reasons in words, and contracts that cannot be judged."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from tapehouse.contracts import expr as e
from tapehouse.contracts.model import RowRule, Severity
from tapehouse.errors import ContractError, ReferenceDataError
from tapehouse.kernel.verdict import RULES_MAX, Judge, JudgeState
from tapehouse.reference import References


def _verdict(judge: Judge, frame: pl.DataFrame) -> pl.DataFrame:
    return judge.verdict(judge.annotate(frame, JudgeState()))


def test_bits_are_positions_of_rules(bench) -> None:
    rules = [
        RowRule(f"above_{i}", "x", e.Compare(">", e.Col("size"), e.Lit(i)), columns=("size",)) for i in range(RULES_MAX)
    ]
    rules[1] = replace(rules[1], severity=Severity.WARN)
    judge = Judge(bench.contract(*rules), bench.references())
    sizes = [0, 1, 2, None, 63, 10**6]
    masks = _verdict(judge, bench.frame({"size": sizes}))["_broken"]
    assert masks.dtype == pl.UInt64
    assert masks.to_list() == [0, 1, 3, 0, 2**63 - 1, 2**63 - 1]
    assert judge.warn_mask == 2
    assert judge.reject_mask == 2**63 - 1 - 2


def test_no_rules_no_rows_and_constant_rules(bench) -> None:
    frame = bench.frame({"size": [1, 2]})
    assert _verdict(Judge(bench.contract(), bench.references()), frame)["_broken"].to_list() == [0, 0]
    always = Judge(bench.contract(RowRule("always", "x", e.Lit(True))), bench.references())
    assert _verdict(always, frame)["_broken"].to_list() == [1, 1]
    assert _verdict(always, frame[:0])["_broken"].to_list() == []
    assert always.reasons(_verdict(always, frame[:0])).to_list() == []
    written = always.reasons(_verdict(always, frame)).to_list()
    assert [[reason["code"] for reason in row] for row in written] == [["always"], ["always"]]


def test_reasons_in_contract_order_with_values_as_written(bench) -> None:
    rules = (
        bench.rule({"rule": "valid"}, "price"),
        replace(bench.rule({"rule": "range", "max": "12.5"}, "price"), severity=Severity.WARN),
        bench.rule({"rule": "lateness", "max": "1h"}),
        bench.rule({"rule": "clock_skew", "tolerance": "1ms"}),
        bench.rule({"rule": "expression", "broken": "size > 5 and symbol == 'A'"}),
    )
    judge = Judge(bench.contract(*rules), bench.references())
    frame = bench.frame(
        {
            "price": [123_400, -1_234_500, None, 126_000],
            "_failed_price": [False, False, True, False],
            "_text_price": [None, None, "12,5", None],
            "ts_event": [0, -5, 1_381_152_600_000_000_001, 0],
            "ts_recv": [0, 3_600_500_000_000, 0, 0],
            "size": [1, 1, 1, 6],
            "symbol": ["A", "B", "A", "A"],
        }
    )
    reasons = judge.reasons(_verdict(judge, frame)).to_list()
    assert reasons[0] == []
    assert reasons[1] == [
        {
            "code": "lateness",
            "severity": "reject",
            "columns": ["ts_event", "ts_recv"],
            "observed": "3600.500000005s",
            "bound": "at most 1h after the event",
        }
    ]
    assert [reason["code"] for reason in reasons[2]] == ["valid", "clock_skew"]
    assert reasons[2][0]["observed"] == "12,5"
    assert reasons[2][1]["observed"] == "1970-01-01T00:00:00.000000000Z"
    assert reasons[2][1]["bound"] == "not before 2013-10-07T13:30:00.000000001Z less 1ms"
    assert reasons[3] == [
        {"code": "range", "severity": "warn", "columns": ["price"], "observed": "12.6000", "bound": "<= 12.5"},
        {
            "code": "expression",
            "severity": "reject",
            "columns": ["size", "symbol"],
            "observed": "size=6, symbol=A",
            "bound": "not (size > 5 and symbol == 'A')",
        },
    ]


def test_negative_prices_and_bare_bounds_are_written_at_scale(bench) -> None:
    rule = RowRule("r", "x", e.Compare("<", e.Col("price"), e.Lit(0)), observed=e.Col("price"), bound=e.Lit(0))
    judge = Judge(bench.contract(rule), bench.references())
    written = judge.reasons(_verdict(judge, bench.frame({"price": [-1, -(2**63), -10_000]}))).to_list()
    assert [row[0]["observed"] for row in written] == ["-0.0001", "-922337203685477.5808", "-1.0000"]
    assert written[0][0]["bound"] == "0.0000"


def test_long_text_is_cut(bench) -> None:
    judge = Judge(bench.contract(bench.rule({"rule": "set", "values": ["A"]}, "symbol")), bench.references())
    observed = judge.reasons(_verdict(judge, bench.frame({"symbol": ["é" * 5000]}))).to_list()[0][0]["observed"]
    assert observed == "é" * 1000


def test_frames_with_and_without_failures_in_turn(bench) -> None:
    judge = Judge(bench.contract(bench.rule({"rule": "valid"}, "price")), bench.references())
    failed = {"price": [None], "_failed_price": [True]}
    found = [_verdict(judge, bench.frame(rows))["_broken"].item() for rows in (failed, {"price": [None]}, failed)]
    assert found == [1, 0, 1]


def test_contracts_that_cannot_be_judged(bench) -> None:
    many = [RowRule(f"r{i}", "x", e.Lit(True)) for i in range(RULES_MAX + 1)]
    with pytest.raises(ContractError, match="64 row rules; a contract may have 63"):
        Judge(bench.contract(*many), bench.references())
    pattern = RowRule("r", "x", e.Matches(e.Col("symbol"), "(?<name"))
    with pytest.raises(ContractError, match="regular expression"):
        Judge(bench.contract(pattern), bench.references())
    with pytest.raises(ReferenceDataError, match="--reference symbols=FILE"):
        Judge(bench.contract(bench.rule({"rule": "known", "table": "symbols"}, "symbol")), References())


def test_annotations_are_shared_between_rules(bench) -> None:
    rules = [bench.rule({"rule": kind}) for kind in ("crossed_book", "locked_book")]
    judge = Judge(bench.contract(*rules), bench.references())
    assert judge.annotations == ("_x0", "_x1")
    assert judge.scope == e.Scope.ORDERED


def test_a_product_with_a_wide_window_does_not_wrap(bench) -> None:
    """What is carried has 126 bits here; judged as if it had 64, three times it would be below zero."""
    carried = e.Carried(e.Arith("*", e.Col("size"), e.Col("sequence")), ())
    rule = RowRule("negative", "x", e.Compare("<", e.Arith("*", carried, e.Col("size")), e.Lit(0)), columns=("size",))
    frame = bench.frame({"size": [2**63 - 1, 3], "sequence": [2**63 - 1, None]})
    assert _verdict(Judge(bench.contract(rule), bench.references()), frame)["_broken"].to_list() == [0, 0]
