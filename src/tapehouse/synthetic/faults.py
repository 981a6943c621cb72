"""Kinds of injected faults, how their shares are written, and where they are placed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tapehouse.errors import UsageError
from tapehouse.synthetic.noise import Ints, choose

DEFAULT_SHARE = 0.001
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One way to spoil a row. `codes` are the rules it must break, `also` those it may break besides (a receive time of
    zero is also before the event). `duplicate` is a disposition, not a rule, and is listed like a code.
    """

    name: str
    title: str
    codes: tuple[str, ...]
    also: tuple[str, ...] = ()


def _kinds(*kinds: FaultKind) -> dict[str, FaultKind]:
    return {kind.name: kind for kind in kinds}


_MALFORMED = (
    FaultKind("malformed_columns", "a column too few or too many", ("malformed_columns",)),
    FaultKind("malformed_nul", "a NUL byte inside a field", ("malformed_nul",)),
    FaultKind("malformed_encoding", "bytes that are not UTF-8", ("malformed_encoding",)),
)

TRADE_FAULTS: Mapping[str, FaultKind] = _kinds(
    FaultKind("bad_ts_event", "event time that is no instant", ("ts_event_invalid",)),
    FaultKind("bad_ts_recv", "receive time that is no positive integer", ("ts_recv_invalid",), ("recv_before_event",)),
    FaultKind("recv_before_event", "received before it happened", ("recv_before_event",)),
    FaultKind("late", "received more than an hour after it happened", ("late",)),
    FaultKind("missing_symbol", "no symbol", ("symbol_missing",)),
    FaultKind("unknown_symbol", "symbol that the reference table lacks", ("symbol_unknown",)),
    FaultKind("unknown_venue", "venue that is not listed, or empty", ("venue_unknown",)),
    FaultKind("bad_price", "price that is not a decimal number", ("price_invalid",)),
    # A price that is not positive is always more than 20 % away from a positive reference.
    FaultKind("non_positive_price", "price of zero or less", ("price_not_positive", "price_band")),
    FaultKind("non_positive_size", "size of zero or less", ("size_not_positive",)),
    FaultKind("out_of_session", "outside 14:30-21:00 UTC", ("out_of_session",)),
    FaultKind("off_band_price", "more than 20 % away from the reference price", ("price_band",)),
    FaultKind(DUPLICATE, "copy of a row, received later, in any file", (DUPLICATE,)),
    *_MALFORMED,
)

QUOTE_FAULTS: Mapping[str, FaultKind] = _kinds(
    FaultKind("bad_ts_event", "event time that is no instant", ("ts_event_invalid",)),
    FaultKind("recv_before_event", "received before it happened", ("recv_before_event",)),
    FaultKind("late", "received more than an hour after it happened", ("late",)),
    FaultKind("missing_symbol", "no symbol", ("symbol_missing",)),
    FaultKind("unknown_venue", "venue that is not listed, or empty", ("venue_unknown",)),
    FaultKind("bad_bid_price", "bid that is not a decimal number", ("bid_price_invalid",)),
    FaultKind("negative_bid", "bid below zero", ("bid_price_negative",)),
    FaultKind("negative_size", "ask size below zero", ("ask_size_negative",)),
    FaultKind("crossed", "bid above the best ask, carried forward where a side is not updated", ("book_crossed",)),
    FaultKind("locked", "bid equal to the best ask", ("book_locked",)),
    FaultKind("out_of_session", "outside 14:30-21:00 UTC", ("out_of_session",)),
    FaultKind("sequence_gap", "sequence numbers of the venue are skipped", ("sequence_gap",)),
    FaultKind("stale_sequence", "sequence number below one already sent", ("sequence_stale",)),
    *_MALFORMED,
)

_GROUPS: Mapping[str, tuple[str, ...]] = {"malformed": tuple(kind.name for kind in _MALFORMED)}


def parse_faults(text: str, kinds: Mapping[str, FaultKind]) -> dict[str, float]:
    """Shares by fault name from `all` (or `default`), `none`, `all=0.01` or `late=0.01,bad_price=0.001,malformed`.

    A name without a share gets 0.1 %; later entries win, so `all,late=0` is everything but late rows.
    Raises UsageError on an unknown name or a share outside 0..1.
    """
    shares: dict[str, float] = {}
    for entry in (part.strip() for part in text.split(",")):
        name, _, number = entry.partition("=")
        if name in ("none", ""):
            continue
        share = _share(entry, number) if number else DEFAULT_SHARE
        names = tuple(kinds) if name in ("all", "default") else _GROUPS.get(name, (name,))
        shares.update(dict.fromkeys(names, share))
    return check_faults(shares, kinds)


def _share(entry: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise UsageError(
            f"--faults: {entry!r} does not end in a number", fix="write a share of rows, such as late=0.01"
        ) from None


def check_faults(shares: Mapping[str, float] | None, kinds: Mapping[str, FaultKind]) -> dict[str, float]:
    """The shares in the order of `kinds`; None is every kind at 0.1 %. Raises UsageError where one makes no sense."""
    if shares is None:
        return dict.fromkeys(kinds, DEFAULT_SHARE)
    for name, share in shares.items():
        if name not in kinds:
            close = difflib.get_close_matches(name, kinds, n=1)
            guess = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"--faults: no fault is called {name!r}", fix=f"{guess}known: {', '.join(kinds)}")
        if not 0.0 <= share <= 1.0:
            raise UsageError(f"--faults: share of {name} is {share}, outside 0..1", fix="write a share such as 0.001")
    return {name: shares[name] for name in kinds if name in shares}


def counts_of(shares: Mapping[str, float], rows: int) -> dict[str, int]:
    """Rows to spoil per kind: the share rounded, and at least one row where the share is not zero."""
    return {name: max(1, round(share * rows)) for name, share in shares.items() if share > 0.0}


@dataclass(frozen=True, slots=True)
class Spoiled:
    """Places of one fault kind, ascending, and a serial number for each from which it takes its spelling."""

    positions: Ints
    serials: Ints

    def within(self, start: int, stop: int) -> Spoiled | None:
        """The places in [start, stop), counted from `start`; None where there are none."""
        low, high = (int(found) for found in np.searchsorted(self.positions, [start, stop]))
        return Spoiled(self.positions[low:high] - start, self.serials[low:high]) if low < high else None


def place(counts: Mapping[str, int], *, population: int, seed: int, stream: str) -> dict[str, Spoiled]:
    """Distinct positions for each name. Raises UsageError where there are not enough of them."""
    total = sum(counts.values())
    if total > population:
        raise UsageError(
            f"the faults need {total} places and there are {population}", fix="ask for more rows or smaller shares"
        )
    chosen = choose(seed, stream, population, total)
    placed, start = {}, 0
    for name, count in counts.items():
        part = chosen[start : start + count]
        order = np.argsort(part, kind="stable")
        placed[name] = Spoiled(part[order], order.astype(np.int64))
        start += count
    return placed


def window(placed: Mapping[str, Spoiled], start: int, stop: int) -> dict[str, Spoiled]:
    """What of `placed` lies in [start, stop), counted from `start`."""
    return {name: part for name, spoiled in placed.items() if (part := spoiled.within(start, stop)) is not None}
