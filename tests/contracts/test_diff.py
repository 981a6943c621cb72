"""What breaks and what does not, change by change; and that the version has to say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tapehouse.contracts.diff import diff
from tapehouse.contracts.load import loads

CHANGES = yaml.safe_load(Path(__file__).with_name("changes.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CHANGES, ids=[f"{case['path']}-{case['reason']}" for case in CHANGES])
def test_change(case: dict[str, Any], example_text: str) -> None:
    assert case["old"] in example_text
    found = diff(loads(example_text), loads(example_text.replace(case["old"], case["new"], 1)))
    (mine,) = [change for change in found if change.path == case["path"]]
    assert mine.breaking is case["breaking"]
    assert case["reason"] in mine.reason
    assert found[-1].path == "version"
    assert found[-1].breaking is any(change.breaking for change in found[:-1])
    assert [change.breaking for change in found[:-1]] == sorted((c.breaking for c in found[:-1]), reverse=True)


def test_nothing_changed(example_text: str) -> None:
    assert diff(loads(example_text), loads(example_text)) == []
    assert diff(loads(example_text), loads(example_text.replace("version: 1.0.0", "version: 1.0.1"))) == []


@pytest.mark.parametrize(
    ("version", "advice"),
    [("1.0.0", "2.0.0"), ("1.9.0", "2.0.0"), ("2.0.0", ""), ("0.9.0", "went back"), ("1.0.0-rc.1", "2.0.0")],
)
def test_breaking_changes_need_a_higher_major_version(version: str, advice: str, example_text: str) -> None:
    changed = example_text.replace("by: hour", "by: day").replace("version: 1.0.0", f"version: {version}")
    found = [change for change in diff(loads(example_text), loads(changed)) if change.path == "version"]
    assert bool(found) is bool(advice)
    assert all(advice in change.reason for change in found)


def test_compatible_changes_need_some_higher_version(example_text: str) -> None:
    changed = example_text.replace("value: 0.10", "value: 0.2")
    assert "1.1.0" in diff(loads(example_text), loads(changed))[-1].reason
    raised = changed.replace("version: 1.0.0", "version: 1.0.1")
    assert [change.path for change in diff(loads(example_text), loads(raised))] == ["budget"]


def test_columns_added_and_removed(contract: Any, column: Any) -> None:
    old, new = contract(column("a")), contract(column("a"), column("b"))
    (added,) = [change for change in diff(old, new) if change.path == "columns.b"]
    assert (added.breaking, added.reason) == (True, "column added: files without it are refused")
    (removed,) = [change for change in diff(new, old) if change.path == "columns.b"]
    assert removed.breaking
    # Its implied rule goes with it and is no change of its own.
    assert not [change for change in diff(new, old) if change.path.startswith("rules.")]
    parquet = {"customProperties": [{"property": "tapehouse.feed", "value": {"format": "ndjson"}}]}
    one, two = contract(column("a"), table=parquet), contract(column("a"), column("b"), table=parquet)
    (optional,) = [change for change in diff(one, two) if change.path == "columns.b"]
    assert not optional.breaking


def test_order_matters_only_by_position(contract: Any, column: Any) -> None:
    for header, breaking in ((True, False), (False, True)):
        table = {"customProperties": [{"property": "tapehouse.feed", "value": {"header": header}}]}
        one = contract(column("a"), column("b", "string"), table=table)
        other = contract(column("b", "string"), column("a"), table=table)
        (moved,) = [change for change in diff(one, other) if change.path == "columns"]
        assert moved.breaking is breaking


def test_a_key_added_or_removed_breaks(contract: Any, column: Any) -> None:
    table = {"customProperties": [{"property": "tapehouse.key", "value": {"columns": ["a"]}}]}
    without, with_key = contract(column("a")), contract(column("a"), table=table)
    assert "duplicates" in diff(without, with_key)[0].reason
    assert diff(with_key, without)[0].breaking
