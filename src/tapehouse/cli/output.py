"""What commands print: JSON or a table on standard output, everything else on standard error."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tapehouse.jsonable import json_form

if TYPE_CHECKING:
    from rich.console import Console

# Where nobody looks at a terminal, tables are as wide as their content.
_WIDE = 400


def emit(document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document, indent=2, default=json_form, ensure_ascii=False))


def note(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr)


def console() -> Console:
    """Standard output with colours on a terminal, plain text elsewhere."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False, markup=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", exact: bool = False) -> None:
    """Print a table; numbers are set right, and cells fold instead of being cut. `exact` leaves numbers as they are."""
    from rich import box
    from rich.table import Table

    body = [list(row) for row in rows]
    out = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for index, name in enumerate(columns):
        numeric = bool(body) and all(isinstance(row[index], int | float | Decimal | None) for row in body)
        out.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        out.add_row(*(str(value) if exact and isinstance(value, int | float) else cell(value) for value in row))
    console().print(out)


def facts(pairs: Mapping[str, Any], *, title: str = "") -> None:
    """Print names and values, one pair a line."""
    if title:
        print(title)
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        lines = cell(value).splitlines() or [""]
        print(f"  {name.ljust(width)}  {lines[0]}")
        for line in lines[1:]:
            print(f"  {' ' * width}  {line}")


def cell(value: Any) -> str:
    """A value as a person reads it: thousands separated, times as exact as they are, null as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}" if not value.microsecond else f"{value:%Y-%m-%d %H:%M:%S.%f}"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return ", ".join(cell(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={cell(one)}" for name, one in value.items())
    return str(value)


def size(count: int) -> str:
    """Bytes in decimal units."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"
