"""Where DuckDB's SQL and Spark's differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tapehouse.engines.sql.forms import Form


@dataclass(frozen=True)
class Dialect:
    """A dialect of SQL.

    `types` name the forms. With `{}` where operands go: `wide_to_double` is a correctly rounded cast, `utf8` a text of
    hexadecimal digits, `matching` a test of a text against a pattern between `anchors`, `ignoring_nulls` a window
    function and what it is of, `median` an aggregate of doubles, `quotient` a division that drops the fraction.
    """

    name: str
    quote: str
    types: Mapping[Form, str]
    wide_to_double: str
    wide_has_bits: bool
    utf8: str
    matching: str
    anchors: tuple[str, str]
    ignoring_nulls: str
    median: str
    quotient: str

    def identifier(self, name: str) -> str:
        """`name`, quoted."""
        return self.quote + name.replace(self.quote, self.quote * 2) + self.quote

    def literal(self, value: str) -> str:
        """A text. All but plain characters go in as UTF-8 in hexadecimal, which no setting of a session rewrites."""
        if value.isascii() and all(one.isalnum() or one in " _-.:/,+" for one in value):
            return f"'{value}'"
        return self.utf8.format(value.encode().hex().upper())

    def cast(self, text: str, have: Form, want: Form) -> str:
        """`text` of form `have` as form `want`, exactly or rounded to the nearest double."""
        if have == want:
            return text
        if (have, want) == (Form.WIDE, Form.DOUBLE):
            return self.wide_to_double.format(text)
        return f"CAST({text} AS {self.types[want]})"

    def matches(self, text: str, pattern: str) -> str:
        """Whether the whole of `text` matches a pattern of `regex.portable`."""
        before, after = self.anchors
        return self.matching.format(text, self.literal(f"{before}{pattern}{after}"))


_TYPES = {Form.LONG: "BIGINT", Form.DOUBLE: "DOUBLE", Form.BOOLEAN: "BOOLEAN", Form.DATE: "DATE"}

DUCKDB = Dialect(
    name="duckdb",
    quote='"',
    types={**_TYPES, Form.WIDE: "HUGEINT", Form.TEXT: "VARCHAR"},
    # Its own cast of a HUGEINT adds two rounded halves; reading the digits rounds once.
    wide_to_double="CAST(CAST({} AS VARCHAR) AS DOUBLE)",
    wide_has_bits=True,
    utf8="decode(from_hex('{}'))",
    matching="regexp_full_match({}, {})",
    anchors=("", ""),
    ignoring_nulls="{}({} IGNORE NULLS)",
    median="median({})",
    quotient="({} // {})",
)

SPARK = Dialect(
    name="spark",
    quote="`",
    types={**_TYPES, Form.WIDE: "DECIMAL(38, 0)", Form.TEXT: "STRING"},
    wide_to_double="CAST({} AS DOUBLE)",
    wide_has_bits=False,
    utf8="CAST(X'{}' AS STRING)",
    matching="({} RLIKE {})",
    # RLIKE searches; `$` would also match before a trailing newline, `\z` does not.
    anchors=("\\A(?:", ")\\z"),
    ignoring_nulls="{}({}) IGNORE NULLS",
    median="percentile({}, 0.5D)",
    quotient="({} DIV {})",
)
