"""What a good contract becomes, the published schema, and what loading costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tapehouse.contracts import expr as e
from tapehouse.contracts.load import load, loads
from tapehouse.contracts.model import Grammar, Key, Kind, Role, Severity
from tapehouse.contracts.positions import parse_yaml
from tapehouse.contracts.rules import registry
from tapehouse.contracts.rules.base import Built, RuleKind, RuleParameterError, RuleScope
from tapehouse.contracts.show import describe, render
from tapehouse.contracts.units import Unit
from tapehouse.contracts.vocabulary import (
    implementation_schema,
    json_schema,
    property_check,
    property_names,
    vocabulary,
)
from tapehouse.errors import ContractError

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples" / "contracts").glob("*.yaml"))


def test_the_example_is_typed(example_text: str) -> None:
    found = loads(example_text, "example.yaml")
    price = found.column("price")
    assert (price.kind, price.scale, price.unit, price.grammar) == (Kind.DECIMAL, 6, Unit.PRICE, Grammar.DECIMAL)
    assert price.currency == "USD"
    assert found.event_time.name == "ts_event"
    assert found.key == Key(("venue", "trade_id"), ("ts_recv",), 7)
    assert (found.partitioning.by, found.partitioning.sort) == ("hour", ("symbol", "ts_event"))
    assert found.calendars["us_equities"].sessions == ((tuple(range(7)), 52_200, 75_600),)
    assert found.references["symbols"].columns == {"ref_price": "price"}
    assert found.budget == 0.1
    assert found.retention.curated_days == 2557
    assert found.service_levels["freshness"]["seconds"] == 86_400
    assert found.owner == "tape-desk"
    assert found.measures == ("size",)
    assert found.derived[0].params == {"interval_seconds": 60}
    assert len(found.digest) == 64


def test_the_example_has_the_codes_of_its_format(example_text: str) -> None:
    stated = {
        "ts_event_invalid", "ts_recv_invalid", "recv_before_event", "late", "symbol_missing", "symbol_unknown",
        "venue_unknown", "price_invalid", "price_not_positive", "size_not_positive", "out_of_session", "price_band",
    }  # fmt: skip
    found = loads(example_text)
    implied = {"size_missing", "size_invalid", "trade_id_missing", "sequence_invalid"}
    assert {rule.code for rule in found.rules} == stated | implied
    assert all(rule.severity == Severity.REJECT for rule in found.rules)


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_every_example_contract_loads_and_can_be_shown(path: Path) -> None:
    found = load(path)
    assert json.loads(json.dumps(describe(found)))["name"] == found.name
    assert found.name in render(found)


@pytest.mark.parametrize(
    ("text", "value"),
    [("NO", "NO"), ("14:30", "14:30"), ("2024-03-08", "2024-03-08"), ("on", "on"), ("1e5", 100_000.0), ("010", 10)],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    parsed = parse_yaml(f"a: {text}\n", "x").data["a"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_merge_keys_are_written_out() -> None:
    document = parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", "x")
    assert document.data["b"] == {"x": 1, "y": 3}
    assert not document.problems


# ---- plug-ins, published schema, cost ----------------------------------------------------------------------------


def test_kinds_can_be_injected_and_their_errors_are_placed(contract_text: Any) -> None:
    def build(scope: RuleScope, on: object, params: Any) -> Built:
        del scope, on
        if params["n"] > 5:
            raise RuleParameterError("n", "too many", allowed="at most 5", guess="fewer?")
        return Built(e.IsNull(e.Col("ts")))

    kind = RuleKind(
        "mine", "Mine", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, build
    )
    kinds = {**registry(), "mine": kind}

    def text(number: int) -> str:
        entry = {"name": "m", "type": "custom", "engine": "tapehouse", "implementation": {"rule": "mine", "n": number}}
        return str(contract_text(table={"quality": [entry]}))

    assert loads(text(3), kinds=kinds).rules[-1].code == "m"
    with pytest.raises(ContractError) as caught:
        loads(text(7), kinds=kinds)
    problem = caught.value.problems[0]
    assert problem.path.endswith("quality[0].implementation.n")
    assert (problem.value, problem.allowed, problem.guess) == (7, "at most 5", "fewer?")


def test_the_published_schema_accepts_the_example_and_refuses_mistakes(example_text: str) -> None:
    validator = jsonschema_rs.Draft201909Validator(json_schema())
    assert not [*validator.iter_errors(yaml.safe_load(example_text))]
    for old, new in (
        ("value: event_time", "value: evnt_time"),
        ("tapehouse.budget", "tapehouse.budgt"),
        ("max: 1h}", "max: 1}"),
        ("{rule: clock_skew}", "{rule: clock_skw}"),
        ("by: hour", "by: hours"),
        ("name: late\n", "name: Late\n"),
    ):
        changed = example_text.replace(old, new, 1)
        assert changed != example_text
        assert not validator.is_valid(yaml.safe_load(changed)), new


def test_examples_in_the_schema_and_the_rules_are_valid() -> None:
    for name in property_names():
        assert vocabulary()["$defs"][name]["examples"]
        for example in vocabulary()["$defs"][name]["examples"]:
            assert not property_check(name).findings(example), name
    for kind in registry().values():
        example = yaml.safe_load(kind.example)
        assert jsonschema_rs.Draft201909Validator(implementation_schema(kind)).is_valid(example), kind.name


def test_roles_and_grammars_in_the_schema_are_those_of_the_model() -> None:
    definitions = vocabulary()["$defs"]
    assert set(definitions["tapehouse.role"]["enum"]) == set(Role)
    assert set(definitions["tapehouse.parse"]["enum"]) == set(Grammar)
    assert set(definitions["tapehouse.unit"]["enum"]) == set(Unit) - {Unit.NONE, Unit.ANY}


def test_loading_is_cheap(example_text: str) -> None:
    loads(example_text)
    best = min(_seconds(example_text) for _ in range(5))
    assert best < 0.1


def _seconds(content: str) -> float:
    start = time.perf_counter()
    loads(content)
    return time.perf_counter() - start


def test_importing_the_loader_pulls_in_nothing_heavy() -> None:
    heavy = "polars", "pyarrow", "pydantic", "jsonschema", "pyiceberg", "duckdb", "exchange_calendars", "numpy"
    script = (
        "import sys, tapehouse.contracts.load as l; from tapehouse.contracts.rules import registry; registry();"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
