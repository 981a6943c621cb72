"""Every class of mistake in a contract: found, placed on its line and column, and explained."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapehouse.contracts.load import load, loads
from tapehouse.errors import ContractError, Problem

Problems = Callable[[str], list[Problem]]

MISTAKES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text("utf-8"))
NAMES = [case["new"][:40] for case in MISTAKES]


@pytest.mark.parametrize("case", MISTAKES, ids=NAMES)
def test_mistake_is_placed_and_explained(case: dict[str, str], example_text: str, problems_of: Problems) -> None:
    assert case["old"] in example_text
    content = example_text.replace(case["old"], case["new"], 1)
    found = [problem for problem in problems_of(content) if case["message"] in problem.message]
    assert found, [str(problem) for problem in problems_of(content)]
    problem = found[0]
    assert case["hint"] in f"{problem.allowed} {problem.guess}"
    assert problem.file == "c.yaml"
    line = content.splitlines()[problem.line - 1]
    assert line[problem.column - 1 :].startswith(case["at"])


@pytest.mark.parametrize("case", MISTAKES, ids=NAMES)
def test_one_mistake_gives_few_problems(case: dict[str, str], example_text: str, problems_of: Problems) -> None:
    """A problem must not be buried under others it causes."""
    assert len(problems_of(example_text.replace(case["old"], case["new"], 1))) <= 3


def test_a_dotted_path_names_the_value(example_text: str, problems_of: Problems) -> None:
    content = example_text.replace("min: 0, minExclusive", 'min: "x", minExclusive', 1)
    problem = problems_of(content)[0]
    assert problem.path == "schema[0].properties[4].quality[1].implementation.min"
    assert problem.value == "x"


def test_all_problems_are_told_in_order(example_text: str, problems_of: Problems) -> None:
    content = example_text
    for old, new in (("version: 1.0.0", "version: one"), ("by: hour", "by: hours"), ("max: 1h}", "max: 1x}")):
        content = content.replace(old, new, 1)
    content = content.replace("keepFirstBy: [ts_recv]", "keepFirstBy: [nope]", 1)
    problems = problems_of(content)
    assert len(problems) == 4
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


def test_position_inside_a_folded_expression(example_text: str, problems_of: Problems) -> None:
    folded = '{rule: expression,\n          broken: "ts_recv <\n            ts_evnt"}'
    content = example_text.replace("{rule: clock_skew}", folded)
    problem = problems_of(content)[0]
    line = content.splitlines()[problem.line - 1]
    assert line[problem.column - 1 :] == 'ts_evnt"}'
    block = (
        "\n          rule: expression\n          broken: >-\n            ts_recv < ts_event\n            and prise > 1"
    )
    content = example_text.replace("{rule: clock_skew}", block)
    problem = problems_of(content)[0]
    assert content.splitlines()[problem.line - 1][problem.column - 1 :] == "prise > 1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "an empty file"),
        ("- a\n- b\n", "a list where a contract"),
        ("just text", "a str where"),
        ("a: [1, 2", "not YAML"),
        ("a:\n\t- b", "not YAML"),
        ("\x00", "unreadable character"),
        ("{}", "'name' is missing"),
        ("x: &a [*a]", "unfold without end"),
        ("schema: []", "'schema' is missing"),
        ("schema: [1]", "not a mapping"),
        ("schema: [{name: t}]", "without columns"),
        ("schema: {name: t}", "not a list"),
    ],
)
def test_what_is_no_contract(content: str, message: str, problems_of: Problems) -> None:
    assert any(message in problem.message for problem in problems_of(content))


def test_unfolding_aliases_are_bounded(problems_of: Problems) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert any("unfold" in problem.message for problem in problems_of("\n".join(lines)))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("x: 1")
    with pytest.raises(ContractError, match="cannot be read") as caught:
        load(tmp_path / "missing.yaml")
    assert "other.yaml" in str(caught.value)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"name: x\ntitle: caf\xe9\n")
    with pytest.raises(ContractError, match="UTF-8") as caught:
        load(latin)
    assert caught.value.problems[0].line == 2
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (5 << 20))
    with pytest.raises(ContractError, match="more than"):
        load(huge)
    with pytest.raises(ContractError, match="cannot be read"):
        load(tmp_path)


_PIECES = st.sampled_from(["", "\n", ": ", "- ", "null", "[]", "{}", "7", "'", "x: y", "\t", "true"])


@given(start=st.floats(0, 1, exclude_max=True), length=st.integers(0, 400), piece=_PIECES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_edit_crashes_the_loader(example_text: str, start: float, length: int, piece: str) -> None:
    """Cutting a piece out of a good contract, or putting one in, gives a contract or problems: nothing else."""
    at = int(start * len(example_text))
    with contextlib.suppress(ContractError):
        loads(example_text[:at] + piece + example_text[at + length :])


_WORDS = ["name", "schema", "properties", "customProperties", "property", "value", "quality", "implementation", "team"]
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=4),
    max_leaves=15,
)


@given(_VALUES)
@settings(max_examples=200, deadline=None)
def test_no_structure_crashes_the_loader(value: object) -> None:
    with pytest.raises(ContractError):
        loads(json.dumps({"schema": [value], "customProperties": value, "x": value}))
