"""The contract reference is generated, complete and current."""

from __future__ import annotations

from pathlib import Path

from tapehouse.contracts.expr_functions import FUNCTIONS
from tapehouse.contracts.lint import CODES
from tapehouse.contracts.reference_doc import main, reference
from tapehouse.contracts.rules import registry
from tapehouse.contracts.vocabulary import property_names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contract-reference.md"


def test_the_page_is_current() -> None:
    hint = "run python -m tapehouse.contracts.reference_doc docs/contract-reference.md"
    assert PAGE.read_text("utf-8") == reference(), hint


def test_the_page_names_everything() -> None:
    text = reference()
    for name in (*property_names(), *registry()):
        assert f"### `{name}`" in text
    for name in (*CODES, *(name for name in FUNCTIONS if not name.startswith("rolling_"))):
        assert f"`{name}" in text, name


def test_writing_the_page(tmp_path: Path) -> None:
    target = tmp_path / "page.md"
    assert main([str(target)]) == 0
    assert target.read_text("utf-8") == reference()
    assert main([]) == 2
