"""Names of the columns in a batch against those the contract expects."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.virtual import file_columns, source_name

_SHOWN_MAX = 50


def aliased(contract: Contract, names: Sequence[str]) -> list[str]:
    """Names as the contract knows them: `feed.options.aliases` maps a sender's other name to a column's source."""
    aliases = contract.feed.options.get("aliases", {})
    return [str(aliases.get(name, name)) for name in names]


def optional_names(contract: Contract) -> frozenset[str]:
    """Sources that a batch may lack (`feed.options.optional`): their column is null then."""
    return frozenset(contract.feed.options.get("optional", ()))


def check_names(contract: Contract, names: Sequence[str], path: str, *, extra: bool = False) -> None:
    """Raise FeedError on duplicate, missing or unexpected names; `extra` allows the last whatever the feed says."""
    wanted = [source_name(column) for column in file_columns(contract)]
    optional = optional_names(contract)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        fix = "ask the sender to name each column once: which of them is meant cannot be told"
        raise FeedError(f"a column is named twice: {', '.join(map(repr, twice))}", path=path, fix=fix)
    missing = [name for name in wanted if name not in names and name not in optional]
    if missing:
        raise FeedError(_missing_message(missing, names, wanted), path=path, fix=_missing_fix(missing, names))
    unknown = [name for name in names if name not in wanted]
    if unknown and not extra and contract.feed.extra_columns != "ignore":
        fix = "add the columns to the contract, or set feed.extraColumns to ignore"
        raise FeedError(f"has columns the contract does not know: {', '.join(unknown)}", path=path, fix=fix)


def _missing_message(missing: Sequence[str], names: Sequence[str], wanted: Sequence[str]) -> str:
    found = ", ".join(names[:_SHOWN_MAX]) or "nothing"
    if len(missing) == len(wanted):
        return f"has none of the contract's columns ({', '.join(wanted)}); found: {found}"
    return f"lacks {', '.join(missing)}; found: {found}"


def _missing_fix(missing: Sequence[str], names: Sequence[str]) -> str:
    lower = {name.strip().lower(): name for name in names}
    guesses = []
    for name in missing:
        close = difflib.get_close_matches(name.lower(), list(lower), n=1)
        if close:
            guesses.append(f"{lower[close[0]]!r} for {name!r}")
    if guesses:
        return f"did the sender write {', '.join(guesses)}? Set tapehouse.source of the column to the name in the file"
    return (
        "check tapehouse.source of the columns, and feed.header and feed.delimiter of a text file; a column that some "
        "batches may lack belongs into feed.options.optional"
    )
