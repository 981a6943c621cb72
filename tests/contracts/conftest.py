"""Contracts and scopes the tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tapehouse.contracts.load import loads
from tapehouse.contracts.model import Calendar, Column, Contract, Grammar, Kind, ReferenceTable
from tapehouse.contracts.rules.base import RuleScope
from tapehouse.contracts.units import Unit
from tapehouse.errors import ContractError, Problem

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "contracts" / "consolidated-trades.yaml"


@pytest.fixture(scope="session")
def example_text() -> str:
    """The commented example contract."""
    return EXAMPLE.read_text("utf-8")


@pytest.fixture(scope="session")
def problems_of() -> Callable[[str], list[Problem]]:
    """Problems of a contract text; fails where it loads."""

    def collect(content: str) -> list[Problem]:
        with pytest.raises(ContractError) as caught:
            loads(content, "c.yaml")
        return caught.value.problems

    return collect


def _column(name: str, kind: Kind, unit: Unit = Unit.ANY, scale: int = 0) -> Column:
    return Column(name, kind, Grammar.TEXT, name, unit=unit, scale=scale)


@pytest.fixture(scope="session")
def scope() -> RuleScope:
    """Columns of every kind, a calendar and a reference table."""
    columns = [
        _column("ts", Kind.TIMESTAMP, Unit.TIME),
        _column("rx", Kind.TIMESTAMP, Unit.TIME),
        _column("price", Kind.DECIMAL, Unit.PRICE, 6),
        _column("tick", Kind.DECIMAL, Unit.PRICE, 4),
        _column("size", Kind.INTEGER, Unit.SIZE),
        _column("money", Kind.DECIMAL, Unit.MONEY, 2),
        _column("ratio", Kind.DOUBLE, Unit.RATIO),
        _column("flags", Kind.INTEGER),
        _column("sym", Kind.STRING),
        _column("day", Kind.DATE),
        _column("ok", Kind.BOOLEAN),
    ]
    symbols = ReferenceTable("symbols", ("symbol",), {"ref": "price"})
    return RuleScope({column.name: column for column in columns}, {"xnys": Calendar("xnys")}, {"symbols": symbols})


# ---- contracts built from data -----------------------------------------------------------------------------------

EVENT = {
    "name": "ts",
    "logicalType": "timestamp",
    "customProperties": [
        {"property": "tapehouse.parse", "value": "epoch_ns"},
        {"property": "tapehouse.role", "value": "event_time"},
    ],
}


def _raw_column(name: str, kind: str = "integer", /, **fields: Any) -> dict[str, Any]:
    ours = [
        {"property": f"tapehouse.{key.removeprefix('tapehouse_')}", "value": value}
        for key, value in fields.items()
        if key.startswith("tapehouse_")
    ]
    rest = {key: value for key, value in fields.items() if not key.startswith("tapehouse_")}
    return {"name": name, "logicalType": kind, "customProperties": ours, **rest}


@pytest.fixture(scope="session")
def column() -> Callable[..., dict[str, Any]]:
    """Makes a column of YAML data: name, logicalType, and fields; `tapehouse_x` is the custom property tapehouse.x."""
    return _raw_column


def _contract_text(*columns: dict[str, Any], table: dict[str, Any] | None = None, **fields: Any) -> str:
    base = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "x", "name": "t", "version": "1.0.0"}
    rows = {"name": "t", "properties": [EVENT, *columns], **(table or {})}
    return json.dumps({**base, "schema": [rows], **fields})


@pytest.fixture(scope="session")
def contract_text() -> Callable[..., str]:
    """Makes the text of a contract of an event time `ts` and the given columns, table fields and contract fields."""
    return _contract_text


@pytest.fixture(scope="session")
def contract() -> Callable[..., Contract]:
    """Loads what `contract_text` makes."""
    return lambda *columns, **fields: loads(_contract_text(*columns, **fields), "t.yaml")
