"""What a value is inside a query, and the reason why a rule has no query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tapehouse.contracts.model import Kind


class NotCheckableError(Exception):
    """The rule cannot be checked in place with the kernel's very result; the text says why."""


class Form(StrEnum):
    """How a value is held. LONG has 64 bits, WIDE at least 126; NULL is the absent value of no type yet."""

    LONG = "long"
    WIDE = "wide"
    DOUBLE = "double"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    NULL = "null"


_NUMBERS = (Form.LONG, Form.WIDE, Form.DOUBLE)

FORM_OF_KIND = {
    Kind.INTEGER: Form.LONG,
    Kind.DECIMAL: Form.LONG,
    Kind.TIMESTAMP: Form.LONG,
    Kind.DOUBLE: Form.DOUBLE,
    Kind.STRING: Form.TEXT,
    Kind.BOOLEAN: Form.BOOLEAN,
    Kind.DATE: Form.DATE,
}


@dataclass(frozen=True, slots=True)
class Value:
    """SQL text of an expression, safe as an operand, and its form."""

    text: str
    form: Form


def common(forms: Iterable[Form]) -> Form:
    """Form that all of `forms` are brought to before they meet: of numbers the widest, a double if one is.

    Raises NotCheckableError where there is none.
    """
    solid = sorted({form for form in forms if form != Form.NULL})
    if not solid:
        return Form.NULL
    if len(solid) == 1:
        return solid[0]
    if all(form in _NUMBERS for form in solid):
        return max(solid, key=_NUMBERS.index)
    raise NotCheckableError(f"it mixes {' and '.join(solid)}")
