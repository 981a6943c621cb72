"""Units of measure of contract columns, and which comparisons and sums of them mean something."""

from __future__ import annotations

from enum import StrEnum


class Unit(StrEnum):
    """What a number measures. `NONE` is a bare literal that takes the unit of its neighbour; `ANY` is not numeric."""

    PRICE = "price"
    SIZE = "size"
    MONEY = "money"
    RATIO = "ratio"
    TIME = "time"
    DURATION = "duration"
    COUNT = "count"
    ID = "id"
    NONE = "none"
    ANY = "any"


def comparable(left: Unit, right: Unit) -> bool:
    """Whether two quantities may be compared, added to a set, or subtracted."""
    return left == right or Unit.NONE in (left, right)


_PRODUCTS = {
    (Unit.PRICE, Unit.SIZE): Unit.MONEY,
    (Unit.PRICE, Unit.COUNT): Unit.MONEY,
    (Unit.SIZE, Unit.COUNT): Unit.SIZE,
}
_QUOTIENTS = {(Unit.MONEY, Unit.SIZE): Unit.PRICE, (Unit.MONEY, Unit.PRICE): Unit.SIZE}


def product(left: Unit, right: Unit) -> Unit | None:
    """Unit of `left * right`; None where the product means nothing (a price times a price)."""
    for one, other in ((left, right), (right, left)):
        if one in (Unit.RATIO, Unit.NONE):
            return other
        if (one, other) in _PRODUCTS:
            return _PRODUCTS[one, other]
    return None


def quotient(left: Unit, right: Unit) -> Unit | None:
    """Unit of `left / right`; equal units give a ratio; None where the quotient means nothing."""
    if left == right:
        return Unit.RATIO
    if right in (Unit.RATIO, Unit.NONE, Unit.COUNT):
        return left
    return _QUOTIENTS.get((left, right))


def total(left: Unit, right: Unit, operator: str) -> Unit | None:
    """Unit of `left + right` or `left - right`; two times subtract to a duration, and a time moves by a duration."""
    if (left, right) == (Unit.TIME, Unit.TIME):
        return Unit.DURATION if operator == "-" else None
    if (left, right) == (Unit.TIME, Unit.DURATION):
        return Unit.TIME
    if (left, right) == (Unit.DURATION, Unit.TIME):
        return Unit.TIME if operator == "+" else None
    if not comparable(left, right):
        return None
    return right if left == Unit.NONE else left
