"""Condition blocks: every operator of a block must hold, and every key of an operator.

A negated operator (`StringNotEquals` and the like) holds when the key is absent; any other fails then. `...IfExists`
holds when the key is absent. `ForAllValues:` holds for a key without values, `ForAnyValue:` does not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from tapehouse.cloud.policy.documents import PolicyError
from tapehouse.cloud.policy.patterns import Lookup, UnknownVariable, arn_fits, fits, plain

_Test = Callable[[str, str, Lookup | None], bool]


def _text(ignore_case: bool) -> _Test:
    def test(value: str, pattern: str, lookup: Lookup | None) -> bool:
        expected = plain(pattern, lookup)
        return value.lower() == expected.lower() if ignore_case else value == expected

    return test


def _number(compare: Callable[[Decimal, Decimal], bool]) -> _Test:
    def test(value: str, pattern: str, lookup: Lookup | None) -> bool:
        try:
            return compare(Decimal(value), Decimal(plain(pattern, lookup)))
        except InvalidOperation:
            return False

    return test


def _instant(text: str) -> datetime:
    if text.lstrip("-").isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(compare: Callable[[datetime, datetime], bool]) -> _Test:
    def test(value: str, pattern: str, lookup: Lookup | None) -> bool:
        try:
            return compare(_instant(value), _instant(plain(pattern, lookup)))
        except ValueError:
            return False

    return test


def _address(value: str, pattern: str, lookup: Lookup | None) -> bool:
    try:
        network = ipaddress.ip_network(plain(pattern, lookup), strict=False)
        return ipaddress.ip_address(value) in network
    except ValueError:
        return False


def _boolean(value: str, pattern: str, lookup: Lookup | None) -> bool:
    return value.lower() == plain(pattern, lookup).lower()


# Name of the positive operator -> its test; the second table names the negations.
_TESTS: Mapping[str, _Test] = {
    "stringequals": _text(False),
    "stringequalsignorecase": _text(True),
    "stringlike": fits,
    "arnequals": arn_fits,
    "arnlike": arn_fits,
    "bool": _boolean,
    "binaryequals": _text(False),
    "numericequals": _number(lambda a, b: a == b),
    "numericlessthan": _number(lambda a, b: a < b),
    "numericlessthanequals": _number(lambda a, b: a <= b),
    "numericgreaterthan": _number(lambda a, b: a > b),
    "numericgreaterthanequals": _number(lambda a, b: a >= b),
    "dateequals": _date(lambda a, b: a == b),
    "datelessthan": _date(lambda a, b: a < b),
    "datelessthanequals": _date(lambda a, b: a <= b),
    "dategreaterthan": _date(lambda a, b: a > b),
    "dategreaterthanequals": _date(lambda a, b: a >= b),
    "ipaddress": _address,
}
_NEGATED: Mapping[str, str] = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
}
_ALL, _ANY = "forallvalues:", "foranyvalue:"


def holds(
    conditions: Mapping[str, Mapping[str, Sequence[str]]],
    facts: Mapping[str, Sequence[str]],
    lookup: Lookup | None,
) -> bool:
    """Whether a whole block holds for the request's facts (keys in lower case). Raises PolicyError on an unknown
    operator: AWS refuses to store it."""
    return all(
        _operator_holds(operator, expected, facts.get(key.lower()), lookup)
        for operator, keys in conditions.items()
        for key, expected in keys.items()
    )


def _operator_holds(
    operator: str, expected: Sequence[str], values: Sequence[str] | None, lookup: Lookup | None
) -> bool:
    name = operator.lower()
    if name == "null":
        return (values is None) == (expected[0].lower() == "true")
    quantifier = next((one for one in (_ALL, _ANY) if name.startswith(one)), "")
    name = name.removeprefix(quantifier)
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    negated = name in _NEGATED
    test = _TESTS.get(_NEGATED.get(name, name))
    if test is None:
        raise PolicyError(
            f"condition operator {operator!r} does not exist", fix="see AWS's list of condition operators"
        )
    if values is None or (quantifier and not values):
        return quantifier == _ALL or if_exists or (negated and not quantifier)

    def fits_any(value: str) -> bool:
        return any(_safe(test, value, pattern, lookup) for pattern in expected)

    hits = [fits_any(value) != negated for value in values]
    if quantifier == _ANY:
        return any(hits)
    if quantifier == _ALL or negated:
        return all(hits)
    return any(hits)


def _safe(test: _Test, value: str, pattern: str, lookup: Lookup | None) -> bool:
    try:
        return test(value, pattern, lookup)
    except UnknownVariable:
        return False
