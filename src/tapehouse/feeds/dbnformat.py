"""The beginning of a DBN stream: which records follow, how their bytes lie, and what their instruments are called."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import databento_dbn as dbn
import numpy as np
import polars as pl

from tapehouse.errors import FeedError
from tapehouse.feeds.streams import Stream

_MAGIC = b"DBN"
_PREFIX_BYTES = 8
_METADATA_BYTES_MAX = 64 << 20
_DAY_NANOSECONDS = 86_400 * 10**9
_EPOCH = dt.date(1970, 1, 1)
# Classes of the vendor's library, of which each format version has its own.
_CLASSES = {
    "mbo": "MBOMsg",
    "mbp-1": "MBP1Msg",
    "mbp-10": "MBP10Msg",
    "tbbo": "MBP1Msg",
    "trades": "TradeMsg",
    "ohlcv-1s": "OHLCVMsg",
    "ohlcv-1m": "OHLCVMsg",
    "ohlcv-1h": "OHLCVMsg",
    "ohlcv-1d": "OHLCVMsg",
    "ohlcv-eod": "OHLCVMsg",
    "definition": "InstrumentDefMsg",
    "statistics": "StatMsg",
    "status": "StatusMsg",
    "imbalance": "ImbalanceMsg",
    "cmbp-1": "CMBP1Msg",
    "tcbbo": "CMBP1Msg",
    "cbbo-1s": "CBBOMsg",
    "cbbo-1m": "CBBOMsg",
    "bbo-1s": "BBOMsg",
    "bbo-1m": "BBOMsg",
}
_Interval = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """Layout of the records of one schema. `mappings`: instrument id -> (first day, day after, symbol), in days since
    1970; `index` is the time whose date resolves them.
    """

    schema: str
    dtype: np.dtype[Any]
    rtypes: tuple[int, ...]
    prices: frozenset[str]
    times: frozenset[str]
    fields: tuple[str, ...]
    mappings: dict[int, list[_Interval]]
    index: str

    @property
    def size(self) -> int:
        """Bytes per record."""
        return self.dtype.itemsize

    @property
    def bound(self) -> str:
        """What a record of this format is, for messages."""
        return f"{self.schema}: record type 0x{self.rtypes[0]:02x} of {self.size} bytes"

    def symbols(self, records: np.ndarray[Any, Any]) -> pl.Series:
        """Symbol of each record as of its date; null where the file has no mapping."""
        ids = records["instrument_id"]
        days = (records[self.index] // _DAY_NANOSECONDS).astype(np.int64)
        codes = np.zeros(len(records), np.int32)
        names: list[str | None] = [None]
        for number in np.unique(ids).tolist():
            for first, after, symbol in self.mappings.get(number, ()):
                names.append(symbol)
                codes[(ids == number) & (days >= first) & (days < after)] = len(names) - 1
        return pl.Series("symbol", names, dtype=pl.String).gather(codes)


def read_format(stream: Stream, expected: str, path: str) -> tuple[RecordFormat, int]:
    """Pass over the stream's metadata; returns the format of what follows and the bytes passed.

    Raises FeedError if it is not DBN, its schema is not `expected` (empty: any), or it does not say its schema.
    """
    prefix = stream.peek(_PREFIX_BYTES)
    if prefix[:3] != _MAGIC or len(prefix) < _PREFIX_BYTES:
        fix = "deliver a .dbn or .dbn.zst file, or correct feed.format in the contract"
        raise FeedError(f"is not DBN: begins with {prefix.hex(' ')!r}", path=path, fix=fix)
    size = _PREFIX_BYTES + int.from_bytes(prefix[4:8], "little")
    head = stream.peek(size) if size <= _METADATA_BYTES_MAX else b""
    if len(head) < size:
        fix = "ask the sender to deliver the file again"
        raise FeedError(f"ends within its metadata ({len(head)} of {size} bytes)", path=path, fix=fix)
    try:
        metadata = dbn.Metadata.decode(head)
    except Exception as error:  # the vendor's library raises several kinds, its own base among them
        raise FeedError(f"metadata cannot be read: {error}", path=path) from error
    stream.skip(size)
    schema = str(metadata.schema) if metadata.schema is not None else ""
    if expected and schema and schema != expected:
        fix = f"deliver {expected} data, or change feed.options schema in the contract"
        raise FeedError(f"holds schema {schema}, but the contract expects {expected}", path=path, fix=fix)
    if (schema or expected) not in _CLASSES:
        fix = f"set feed.options schema in the contract to one of {', '.join(sorted(_CLASSES))}"
        raise FeedError(f"holds {schema or 'several schemas'}: which to read is not known", path=path, fix=fix)
    return _format(schema or expected, prefix[3], metadata), size


def _format(schema: str, version: int, metadata: Any) -> RecordFormat:
    module = {1: dbn.v1, 2: dbn.v2}.get(version, dbn.v3)
    record = getattr(module, _CLASSES[schema])
    # The vendor's own client builds its arrays from these.
    layout = list(record._dtypes)
    times = set(record._timestamp_fields)
    if metadata.ts_out:
        layout.append(("ts_out", "u8"))
        times.add("ts_out")
    dtype = np.dtype(layout)
    hidden = set(record._hidden_fields)
    fields = tuple(name for name, _ in layout if name not in hidden)
    rtype = int(dbn.RType.from_schema(dbn.Schema.from_str(schema)))
    index = "ts_recv" if "ts_recv" in fields else "ts_event"
    return RecordFormat(
        schema, dtype, (rtype,), frozenset(record._price_fields), frozenset(times), fields, _mappings(metadata), index
    )


def _mappings(metadata: Any) -> dict[int, list[_Interval]]:
    """Symbols by instrument id, whichever way round the file maps them."""
    found: dict[int, list[_Interval]] = {}
    inverse = str(metadata.stype_in) == "instrument_id"
    for symbol, intervals in (metadata.mappings or {}).items():
        for interval in intervals:
            number, name = (symbol, interval["symbol"]) if inverse else (interval["symbol"], symbol)
            if number.isdigit() and name:
                days = ((interval[edge] - _EPOCH).days for edge in ("start_date", "end_date"))
                found.setdefault(int(number), []).append((*days, name))
    return found
