"""Values on their way to another process.

Frames travel as Arrow IPC. Polars' own pickling holds the interpreter's lock while its threads work, and one of them
waits for ever if it has to free memory that Python owns.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import polars as pl


def dumps(value: Any) -> bytes:
    """The value as bytes; anything that pickle takes."""
    out = io.BytesIO()
    _Pickler(out, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return out.getvalue()


def loads(data: bytes) -> Any:
    """Inverse of `dumps`. Only for bytes that our own processes made."""
    return pickle.loads(data)  # noqa: S301


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, pl.DataFrame):
            return _frame, (_ipc(value),)
        if isinstance(value, pl.Series):
            return _series, (_ipc(value.to_frame()),)
        return NotImplemented


def _ipc(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_ipc(out)
    return out.getvalue()


def _frame(data: bytes) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(data))


def _series(data: bytes) -> pl.Series:
    return _frame(data).to_series()
