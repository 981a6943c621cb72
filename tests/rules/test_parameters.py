"""Wrong parameters are the contract author's mistake: each error names the parameter and the way out."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from tapehouse.contracts.rules import RuleParameterError, registry

WRONG = [
    ({"rule": "range", "min": "0.00001"}, "price", "min", "at most 4 decimals"),
    ({"rule": "range", "min": 0.5}, "size", "min", "a integer"),
    ({"rule": "range", "min": "abc"}, "price", "min", "a decimal"),
    ({"rule": "range", "min": 2, "max": 1}, "price", "min", ""),
    ({"rule": "range"}, "price", "min", ""),
    ({"rule": "range", "min": 1}, "symbol", "column", "integer, decimal"),
    ({"rule": "range", "min": "2013-10-07T18:00:00"}, "ts_event", "min", "a timestamp"),
    ({"rule": "set", "values": [1]}, "symbol", "values", "a string"),
    ({"rule": "set", "values": ["yes"]}, "flagged", "values", "a boolean"),
    ({"rule": "regex", "pattern": "["}, "symbol", "pattern", ""),
    ({"rule": "regex", "pattern": "(?=A)A"}, "symbol", "pattern", "look-around"),
    ({"rule": "regex", "pattern": "A"}, "size", "column", "string"),
    ({"rule": "known", "table": "symbol"}, "symbol", "table", "symbols"),
    ({"rule": "known", "table": "listings", "by": ["venue"]}, "", "by", ""),
    ({"rule": "known", "table": "listings", "by": ["venu", "symbol"]}, "", "by", "venue"),
    ({"rule": "price_band", "previous": True, "max": "20%"}, "size", "column", "tapehouse.unit: price"),
    (
        {"rule": "price_band", "max": "20%", "reference": {"table": "symbols", "column": "ref"}},
        "price",
        "reference.column",
        "ref_price",
    ),
    ({"rule": "price_band", "max": "0%"}, "price", "max", "above 0"),
    ({"rule": "tick_size"}, "price", "tick", ""),
    ({"rule": "tick_size", "tick": 0}, "price", "tick", "above 0"),
    ({"rule": "tick_size", "tick": "0.01"}, "close", "column", "decimal"),
    ({"rule": "tick_size", "tick": "1"}, "size", "column", "price"),
    ({"rule": "unit_jump", "rows": 4}, "price", "rows", "odd"),
    ({"rule": "unit_jump", "spread": 200}, "price", "spread", "between 1 and 100"),
    ({"rule": "session", "calendar": "uk"}, "ts_event", "calendar", "us"),
    ({"rule": "session", "calendar": "us"}, "size", "column", "timestamp"),
    ({"rule": "crossed_book", "bid": "size"}, "", "column", "price"),
    ({"rule": "expression", "broken": "price < size"}, "", "broken", ""),
    ({"rule": "expression", "broken": "prise < 1"}, "", "broken", "price"),
    ({"rule": "control_total"}, "", "rows", ""),
    ({"rule": "control_total", "sums": {"sequence": 1}}, "", "sums", ""),
    ({"rule": "control_total", "sums": {"price": "0.00001"}}, "", "sums", "4 decimals"),
    ({"rule": "row_count_anomaly", "low": 1}, "", "low", "below 1"),
    ({"rule": "row_count_anomaly", "window": 3}, "", "minHistory", ""),
    ({"rule": "volume_anomaly", "column": "flags"}, "", "column", ""),
]


@pytest.mark.parametrize(("implementation", "on", "parameter", "help_"), WRONG, ids=lambda value: str(value)[:50])
def test_wrong_parameter(bench, implementation, on, parameter, help_) -> None:
    kind = registry()[implementation["rule"]]
    params = {key: value for key, value in implementation.items() if key != "rule"}
    jsonschema.validate(params, dict(kind.schema))
    with pytest.raises(RuleParameterError) as raised:
        kind.build(bench.scope, bench.scope.columns.get(on), params)
    error = raised.value
    assert error.parameter == parameter
    assert help_ in f"{error.allowed} {error.guess} {error}"


@pytest.mark.parametrize("kind", registry().values(), ids=lambda kind: kind.name)
def test_schema_is_valid_and_accepts_the_example(kind) -> None:
    jsonschema.Draft202012Validator.check_schema(dict(kind.schema))
    assert kind.schema["additionalProperties"] is False
    example = yaml.safe_load(kind.example)
    assert example.pop("rule") == kind.name
    jsonschema.validate(example, dict(kind.schema))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**example, "no_such_parameter": 1}, dict(kind.schema))
    assert kind.title


def test_durations_and_shares_are_exact() -> None:
    from tapehouse.contracts.rules.params import duration_ns, share

    assert [duration_ns(text, "max") for text in ("1ns", "1.5us", "250ms", "0.1s", "5m", "1h", "2 d")] == [
        1, 1_500, 250_000_000, 100_000_000, 300 * 10**9, 3600 * 10**9, 172_800 * 10**9,
    ]  # fmt: skip
    for wrong in ("1", "h", "-1s", "1 week"):
        with pytest.raises(RuleParameterError):
            duration_ns(wrong, "max")
    assert share("20%", "max") == share(0.2, "max") == share("0.2", "max")
    for wrong in ("20 percent", "-1%", 0):
        with pytest.raises(RuleParameterError):
            share(wrong, "max")


def test_plugins_add_kinds_and_may_not_take_a_name(monkeypatch) -> None:
    from importlib.metadata import EntryPoint

    from tapehouse.contracts import rules
    from tapehouse.errors import UsageError

    def installed(value: str):
        return lambda group: [EntryPoint("extra", value, group)] if group == rules.ENTRY_POINTS else []

    # Not a mock of the registry: only of which distributions are installed.
    monkeypatch.setattr(rules, "entry_points", installed("tapehouse.contracts.rules.presence:KINDS"))
    rules.registry.cache_clear()
    with pytest.raises(UsageError, match="a second kind 'valid'"):
        rules.registry()
    monkeypatch.setattr(rules, "entry_points", installed("tapehouse.contracts.rules.presence:Built"))
    with pytest.raises(UsageError, match="not a RuleKind"):
        rules.registry()
    monkeypatch.setattr(rules, "entry_points", installed("naive:KIND"))
    assert "even_size" in rules.registry()
    monkeypatch.undo()
    rules.registry.cache_clear()
