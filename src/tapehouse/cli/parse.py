"""Texts of options turned into values."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from pathlib import Path

from tapehouse.errors import UsageError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def references(given: Iterable[str] | None) -> dict[str, Path] | Path | None:
    """`FILE` alone, or `NAME=FILE` any number of times."""
    named: dict[str, Path] = {}
    bare: list[str] = []
    for one in given or ():
        name, equals, path = one.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and not Path(one).exists():
            named[name] = Path(path)
        else:
            bare.append(one)
    if bare and (named or len(bare) > 1):
        raise UsageError(f"--reference {bare[0]} has no name", fix="with several references write NAME=FILE for each")
    if bare:
        return Path(bare[0])
    return named or None


def duration(text: str, option: str) -> dt.timedelta:
    """A number and s, m, h, d or w, such as `30d`."""
    found = re.fullmatch(r"(\d{1,9})\s*([smhdw])", text.strip())
    if found is None:
        raise UsageError(f"{option}: {text!r} is not a duration", fix="write a number and s, m, h, d or w, such as 30d")
    try:
        return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise UsageError(f"{option}: {text!r} is too long", fix="take something shorter than a million years") from None


def moment(text: str, option: str) -> dt.datetime:
    """An ISO 8601 date or date and time; UTC where no offset is given."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is not a time", fix="write one as 2024-03-04 or 2024-03-04T14:30:00Z"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def record(text: str) -> tuple[str, int]:
    """`BATCH:ROW`: the beginning of a batch's digest, and a record number."""
    batch, _, row = text.rpartition(":")
    if not re.fullmatch(r"[0-9a-f]{4,64}", batch) or not row.isascii() or not row.isdigit():
        raise UsageError(f"{text!r} names no record", fix="write BATCH:ROW as `tapehouse quarantine list` shows it")
    return batch, int(row)
