"""Which quantities go together, and that the tables agree with arithmetic."""

from __future__ import annotations

import itertools

import pytest

from tapehouse.contracts.units import Unit, comparable, product, quotient, total


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (Unit.PRICE, Unit.SIZE, Unit.MONEY),
        (Unit.SIZE, Unit.PRICE, Unit.MONEY),
        (Unit.PRICE, Unit.RATIO, Unit.PRICE),
        (Unit.NONE, Unit.SIZE, Unit.SIZE),
        (Unit.PRICE, Unit.PRICE, None),
        (Unit.TIME, Unit.SIZE, None),
    ],
)
def test_products(left: Unit, right: Unit, expected: Unit | None) -> None:
    assert product(left, right) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (Unit.MONEY, Unit.SIZE, Unit.PRICE),
        (Unit.MONEY, Unit.PRICE, Unit.SIZE),
        (Unit.PRICE, Unit.PRICE, Unit.RATIO),
        (Unit.PRICE, Unit.NONE, Unit.PRICE),
        (Unit.PRICE, Unit.SIZE, None),
    ],
)
def test_quotients(left: Unit, right: Unit, expected: Unit | None) -> None:
    assert quotient(left, right) == expected


@pytest.mark.parametrize(
    ("left", "right", "operator", "expected"),
    [
        (Unit.TIME, Unit.TIME, "-", Unit.DURATION),
        (Unit.TIME, Unit.TIME, "+", None),
        (Unit.TIME, Unit.DURATION, "+", Unit.TIME),
        (Unit.TIME, Unit.DURATION, "-", Unit.TIME),
        (Unit.DURATION, Unit.TIME, "+", Unit.TIME),
        (Unit.DURATION, Unit.TIME, "-", None),
        (Unit.PRICE, Unit.SIZE, "+", None),
        (Unit.NONE, Unit.PRICE, "+", Unit.PRICE),
    ],
)
def test_sums(left: Unit, right: Unit, operator: str, expected: Unit | None) -> None:
    assert total(left, right, operator) == expected


def test_a_quotient_undoes_a_product() -> None:
    measures = [unit for unit in Unit if unit not in (Unit.NONE, Unit.ANY, Unit.RATIO)]
    for left, right in itertools.product(measures, repeat=2):
        result = product(left, right)
        assert result == product(right, left)
        if result is not None and right != Unit.COUNT and left != Unit.COUNT:
            assert quotient(result, right) == left


def test_comparison_is_symmetric_and_bare_numbers_fit_anything() -> None:
    for left, right in itertools.product(Unit, repeat=2):
        assert comparable(left, right) == comparable(right, left)
        assert comparable(left, right) == (left == right or Unit.NONE in (left, right))
