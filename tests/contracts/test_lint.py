"""Each lint code: raised where its fault is, silent on the example."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tapehouse.contracts.lint import CODES, lint, lint_text
from tapehouse.errors import ContractError

PRICE = {"tapehouse_scale": 2, "tapehouse_unit": "price"}
SQL = {"name": "odd", "type": "sql", "query": "select 1", "mustBe": 0}
WARN = {
    "name": "low", "type": "custom", "engine": "tapehouse", "severity": "warning",
    "implementation": {"rule": "range", "min": 0},
}  # fmt: skip


def test_the_example_has_no_finding(example_text: str, tmp_path: Path) -> None:
    assert lint_text(example_text) == []
    file = tmp_path / "c.yaml"
    file.write_text(example_text, "utf-8")
    assert lint(file) == []


Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("no_owner", lambda column: ([], {})),
        ("no_description", lambda column: ([], {})),
        ("undescribed_columns", lambda column: ([], {})),
        ("no_key_statement", lambda column: ([], {})),
        ("no_budget", lambda column: ([], {})),
        ("no_retention", lambda column: ([], {})),
        ("no_measure", lambda column: ([], {})),
        ("no_rules", lambda column: ([], {})),
        ("warn_only", lambda column: ([column("n", quality=[WARN])], {})),
        ("no_unit", lambda column: ([column("x", "number", tapehouse_scale=2)], {})),
        ("no_currency", lambda column: ([column("x", "number", **PRICE)], {})),
        ("inexact_price", lambda column: ([column("x", "number", tapehouse_unit="price")], {})),
        ("rule_not_enforced", lambda column: ([column("n", quality=[SQL])], {})),
        ("rule_not_enforced", lambda column: ([column("n", quality=[{"metric": "rowCount", "mustBe": 0}])], {})),
        ("option_not_enforced", lambda column: ([column("n", logicalTypeOptions={"minimum": 0})], {})),
        (
            "misplaced_setting",
            lambda column: ([column("n") | {"customProperties": [{"property": "scale", "value": 2}]}], {}),
        ),
        ("key_order_open", lambda column: ([column("n", primaryKey=True)], {})),
        (
            "no_lateness_rule",
            lambda column: ([column("rx", "timestamp", tapehouse_parse="epoch_ns", tapehouse_role="receive_time")], {}),
        ),
    ],
)
def test_each_code_is_found(code: str, make: Callable[[Make], Any], column: Make, contract_text: Any) -> None:
    columns, fields = make(column)
    found = lint_text(contract_text(*columns, **fields))
    mine = [finding for finding in found if finding.code == code]
    assert mine
    assert all(finding.fix and finding.message and finding.line for finding in mine)
    assert {finding.code for finding in found} <= set(CODES)


def test_stating_that_no_key_is_wanted_is_enough(contract_text: Any) -> None:
    table = {"customProperties": [{"property": "tapehouse.key", "value": "none"}]}
    assert "no_key_statement" not in {finding.code for finding in lint_text(contract_text(table=table))}


def test_a_finding_names_its_line(example_text: str) -> None:
    content = example_text.replace("          - {property: tapehouse.currency, value: USD}\n", "")
    (finding,) = lint_text(content)
    assert (finding.code, finding.path) == ("no_currency", "schema[0].properties[4]")
    assert "name: price" in content.splitlines()[finding.line - 1]


def test_a_contract_that_does_not_load_is_not_linted() -> None:
    with pytest.raises(ContractError):
        lint_text(json.dumps({"name": "t"}))
