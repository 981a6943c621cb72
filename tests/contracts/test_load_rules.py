"""Rules a contract declares and implies, and how its columns are typed."""

from __future__ import annotations

from typing import Any

import pytest

from tapehouse.contracts import expr as e
from tapehouse.contracts.model import Contract, Key, Severity
from tapehouse.contracts.units import Unit
from tapehouse.errors import ContractError


def codes(found: Contract) -> list[str]:
    return [rule.code for rule in found.rules]


# ---- implied rules -----------------------------------------------------------------------------------------------


def test_required_and_parsing_imply_rules(column: Any, contract: Any) -> None:
    found = contract(column("n", required=True), column("s", "string", required=True), column("free", "string"))
    assert codes(found) == ["ts_invalid", "n_missing", "n_invalid", "s_missing"]


def test_a_declared_rule_replaces_what_it_covers(column: Any, contract: Any) -> None:
    broken = {"rule": "expression", "broken": "n is null or failed(n)"}
    rule = {"name": "n_bad", "type": "custom", "engine": "tapehouse", "implementation": broken}
    assert codes(contract(column("n", required=True, quality=[rule]))) == ["ts_invalid", "n_bad"]
    # A warning lets the row through, so the implied rejecting rules stay.
    warned = codes(contract(column("n", required=True, quality=[{**rule, "severity": "warning"}])))
    assert warned == ["ts_invalid", "n_missing", "n_invalid", "n_bad"]


def test_binary_feeds_cannot_misread(column: Any, contract: Any) -> None:
    table = {"customProperties": [{"property": "tapehouse.feed", "value": {"format": "dbn"}}]}
    assert codes(contract(column("n"), table=table)) == []


def test_unique_and_library_metrics_are_rules(column: Any, contract: Any) -> None:
    found = contract(
        column("a", unique=True),
        column("b", quality=[{"metric": "nullValues", "mustBe": 0}]),
        column("c", "string", quality=[{"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": ["X"]}}]),
        column("d", "string", quality=[{"metric": "duplicateValues", "mustBeLessThan": 1, "name": "d_twice"}]),
        column("f", quality=[{"metric": "nullValues", "mustBeLessThan": 5}]),
        table={"quality": [{"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["a", "b"]}}]},
    )
    rules = {rule.code: rule for rule in found.rules}
    assert {"a_not_unique", "b_missing", "c_unexpected", "d_twice", "a_b_not_unique"} <= set(rules)
    assert "f_missing" not in rules
    assert e.InSet(e.Col("c"), ("X",)) in rules["c_unexpected"].broken.walk()
    assert e.SeenBefore(("a", "b")) in rules["a_b_not_unique"].broken.walk()


def test_at_most_62_row_rules(column: Any, contract: Any) -> None:
    assert len(contract(*(column(f"n{i}") for i in range(61))).rules) == 62
    with pytest.raises(ContractError, match="63 row rules"):
        contract(*(column(f"n{i}") for i in range(62)))


def test_budget_and_severity_of_a_rule(column: Any, contract: Any) -> None:
    implementation = {"rule": "range", "min": 0, "budget": 0.05}
    rule = {
        "name": "low",
        "type": "custom",
        "engine": "tapehouse",
        "severity": "warning",
        "implementation": implementation,
    }
    found = contract(column("n", quality=[rule])).rules[-1]
    assert (found.budget, found.severity, found.columns) == (0.05, Severity.WARN, ("n",))


def test_batch_rules_are_kept_apart(contract: Any) -> None:
    rule = {
        "name": "few",
        "type": "custom",
        "engine": "tapehouse",
        "implementation": {"rule": "row_count_anomaly", "low": 0.2},
    }
    found = contract(table={"quality": [rule]})
    assert (found.batch_rules[0].code, dict(found.batch_rules[0].params)) == ("few", {"low": 0.2})
    assert codes(found) == ["ts_invalid"]


# ---- key, types, sentinels ---------------------------------------------------------------------------------------


def test_primary_key_marks_are_the_key(column: Any, contract: Any) -> None:
    found = contract(
        column("a", primaryKey=True, primaryKeyPosition=2), column("b", primaryKey=True, primaryKeyPosition=1)
    )
    assert found.key == Key(("b", "a"))
    none = {"customProperties": [{"property": "tapehouse.key", "value": "none"}]}
    assert contract(column("a"), table=none).key is None
    with pytest.raises(ContractError, match="primaryKey on a"):
        contract(column("a", primaryKey=True), table=none)


def test_sentinels_become_canonical(column: Any, contract: Any) -> None:
    found = contract(
        column("p", "number", tapehouse_scale=4, tapehouse_parse="scaled", tapehouse_sentinels=[0, "99.99"]),
        column("n", tapehouse_sentinels=[-1]),
        column("s", "string", tapehouse_sentinels=["-"]),
        column("u", "timestamp", tapehouse_parse="epoch_ns", tapehouse_sentinels=["1970-01-01T00:00:01Z", 0]),
    )
    assert [found.column(name).sentinels for name in "pnsu"] == [(0, 999_900), (-1,), ("-",), (1_000_000_000, 0)]
    assert found.column("p").source_scale == 4


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (
            lambda column: column("p", "number", tapehouse_scale=2, tapehouse_sentinels=["0.001"]),
            "sentinel '0.001' is no decimal",
        ),
        (lambda column: column("n", tapehouse_sentinels=["0"]), "did you quote a number"),
        (lambda column: column("n", tapehouse_sentinels=[1 << 63]), "64 bits"),
        (lambda column: column("s", "string", tapehouse_sentinels=[0]), 'a text: "0"'),
        (lambda column: column("b", "boolean", tapehouse_sentinels=[0]), "sentinels on numbers"),
        (lambda column: column("p", "number", tapehouse_measure=True), "not exact"),
        (lambda column: column("n", tapehouse_scale=2), "only on logicalType: number"),
        (lambda column: column("p", "number", tapehouse_parse="decimal"), "tapehouse.scale"),
        (
            lambda column: column("p", "number", tapehouse_scale=2, tapehouse_parse="scaled", tapehouse_sourceScale=4),
            "at most 2",
        ),
        (lambda column: column("u", "timestamp"), "without tapehouse.parse"),
        (lambda column: column("u", "timestamp", tapehouse_parse="strptime"), "strptime without a format"),
        (lambda column: column("u", "timestamp", tapehouse_parse="ms_of_day"), "needs a date from the path"),
        (lambda column: column("u", "timestamp", tapehouse_parse="epoch_s", tapehouse_zone="UTC"), "a zone on epoch_s"),
        (lambda column: column("d", "string", tapehouse_source="path:date"), "no group 'date'"),
        (lambda column: column("n", tapehouse_source="ts"), "both read 'ts'"),
        (lambda column: column("s", "string", tapehouse_unit="price"), "unit price on a string"),
        (lambda column: column("n", tapehouse_role="event_time"), "a integer column as event_time"),
        (lambda column: column("n", tapehouse_currency="usd"), "wrong form"),
    ],
)
def test_columns_that_contradict_themselves(bad: Any, words: str, contract: Any, column: Any) -> None:
    with pytest.raises(ContractError) as caught:
        contract(bad(column))
    assert words in str(caught.value)


def test_filter_is_a_condition_on_one_row(column: Any, contract: Any) -> None:
    table = {"customProperties": [{"property": "tapehouse.filter", "value": "n > 0"}]}
    assert contract(column("n"), table=table).filter is not None
    table["customProperties"][0]["value"] = "n > previous(n)"
    with pytest.raises(ContractError, match="other rows"):
        contract(column("n"), table=table)


def test_references_may_state_kinds(column: Any, contract: Any) -> None:
    tables = {"r": {"keys": ["k"], "columns": {"tick": "decimal:4", "lot": "integer"}}}
    custom = [{"property": "tapehouse.references", "value": tables}]
    broken = {"rule": "expression", "broken": "n > lookup(r.lot by n) and lookup(r.tick by n) > 0.0001"}
    rule = {"name": "odd", "type": "custom", "engine": "tapehouse", "implementation": broken}
    found = contract(column("n"), table={"quality": [rule]}, customProperties=custom)
    assert e.Lit(1) in found.rules[-1].broken.walk() or e.Lit(1, Unit.ANY) in found.rules[-1].broken.walk()
