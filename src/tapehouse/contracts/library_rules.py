"""ODCS library metrics (`type: library`) that are rules on rows: those that must be zero."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse.contracts.model import Column

METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")


@dataclass(frozen=True, slots=True)
class Implied:
    """The rule a metric stands for: its default code, kind and parameters."""

    code: str
    kind: str
    params: Mapping[str, Any]


def library_rule(raw: Mapping[str, Any], column: Column | None) -> Implied | None:
    """The rule `raw` stands for, or None where it is no library metric or cannot be judged row by row."""
    metric = raw.get("metric")
    if metric not in METRICS or raw.get("type", "library") != "library" or not must_be_zero(raw):
        return None
    arguments = raw.get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    if metric == "duplicateValues":
        return _duplicates(column, arguments)
    if column is None:
        return None
    name = column.name.lower()
    if metric == "nullValues" or (metric == "missingValues" and arguments.get("missingValues", [None]) == [None]):
        return Implied(f"{name}_missing", "required", {})
    if metric == "invalidValues":
        return _invalid(name, arguments)
    return None


def must_be_zero(raw: Mapping[str, Any]) -> bool:
    """Whether the metric's bound is zero, whichever operator says so."""
    return any(
        isinstance(raw.get(key), int | float) and not isinstance(raw[key], bool) and raw[key] == bound
        for key, bound in (("mustBe", 0), ("mustBeLessOrEqualTo", 0), ("mustBeLessThan", 1))
    )


def _duplicates(column: Column | None, arguments: Mapping[str, Any]) -> Implied | None:
    names = arguments.get("properties")
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        code = re.sub(r"[^a-z0-9_]", "_", "_".join(names).lower())[:52]
        return Implied(f"{code}_not_unique", "unique", {"columns": names})
    return None if column is None else Implied(f"{column.name.lower()}_not_unique", "unique", {})


def _invalid(name: str, arguments: Mapping[str, Any]) -> Implied | None:
    if not arguments:
        return Implied(f"{name}_invalid", "valid", {})
    if set(arguments) == {"validValues"}:
        return Implied(f"{name}_unexpected", "set", {"values": arguments["validValues"]})
    if set(arguments) == {"pattern"}:
        return Implied(f"{name}_malformed", "regex", {"pattern": arguments["pattern"]})
    return None
