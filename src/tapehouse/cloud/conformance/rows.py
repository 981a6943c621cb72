"""The table of requirements, from `rows.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tapehouse.errors import UsageError


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement. `run` says that templates alone cannot show it: a test must run the behaviour."""

    id: str
    blueprint: str
    requirement: str
    applies_to: tuple[str, ...]
    reason: str = ""
    run: bool = False


@cache
def _data() -> Mapping[str, Any]:
    text = files("tapehouse.cloud.conformance").joinpath("rows.yaml").read_text(encoding="utf-8")
    data: Mapping[str, Any] = yaml.safe_load(text)
    return data


@cache
def rows() -> Mapping[str, Row]:
    """Every row by id, in the table's order."""
    return {one["id"]: Row(**{**one, "applies_to": tuple(one["applies_to"])}) for one in _data()["rows"]}


def blueprints() -> tuple[str, ...]:
    """Blueprints that can be deployed now; rows of the others wait for theirs."""
    return tuple(_data()["blueprints"])


def row(row_id: str) -> Row:
    """That row; UsageError if the table has none of that id."""
    if row_id not in rows():
        raise UsageError(f"no row {row_id!r} in the requirements", fix="rows are A01 to P34: see rows.yaml")
    return rows()[row_id]


def pairs(blueprint: str | None = None) -> Iterator[tuple[Row, str]]:
    """(row, blueprint) for every blueprint that can be deployed, or for one; UsageError for an unknown one."""
    if blueprint is not None and blueprint not in blueprints():
        raise UsageError(f"no blueprint {blueprint!r}", fix=f"one of: {', '.join(blueprints())}")
    for one in rows().values():
        for name in blueprints():
            if name in one.applies_to and blueprint in (None, name):
                yield one, name
