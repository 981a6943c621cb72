"""The part of a stream that is being looked at: blocks of bytes that begin at a record."""

from __future__ import annotations

from dataclasses import dataclass

from tapehouse.feeds.streams import Stream

# What is kept of a record too long to be held.
RAW_BYTES_MAX = 1 << 16


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that was passed over: its first bytes, its length, and the bytes passed including its line end."""

    raw: bytes
    length: int
    passed: int


class Window:
    """Moves over `stream` in steps of about `size` bytes. `returns`: a carriage return alone ends a record too."""

    def __init__(self, stream: Stream, size: int, *, returns: bool = True) -> None:
        self._stream = stream
        self._size = size
        self._returns = returns
        self._kept = b""
        self._all_read = False
        self._done = False

    def advance(self) -> tuple[bytes, bool] | None:
        """The next block, beginning with what was kept, and whether it is the last; None after the last."""
        if self._done:
            return None
        data = self._read()
        if self._kept:
            data, self._kept = self._kept + data, b""
        self._done = self._all_read
        return data, self._done

    def _read(self) -> bytes:
        if self._all_read:
            return b""
        data, self._all_read = self._stream.read_block(self._size)
        return data

    def keep(self, rest: bytes) -> None:
        """Put an incomplete record back, to be the beginning of the next block."""
        self._kept = rest

    def skip_record(self, start: bytes) -> Skipped:
        """Pass to the end of the line that begins with `start`, holding one block at a time."""
        raw, length, chunk = b"", 0, start
        while (cut := self._line_end(chunk)) < 0 and not self._all_read:
            raw += chunk[: RAW_BYTES_MAX - len(raw)]
            length += len(chunk)
            chunk = self._read()
        if cut < 0:
            cut = len(chunk)
        elif chunk[cut:] == b"\r" and not self._all_read:
            chunk += self._read()  # a line feed may follow
        raw += chunk[: min(cut, RAW_BYTES_MAX - len(raw))]
        ending = 2 if chunk[cut : cut + 2] == b"\r\n" else len(chunk[cut : cut + 1])
        self._kept = chunk[cut + ending :]
        # Damage is told with the last block, so there must be one, even if it is empty.
        self._done = self._all_read and not self._kept and self._stream.damage is None
        return Skipped(raw, length + cut, length + cut + ending)

    def _line_end(self, data: bytes) -> int:
        """Position of the first byte that ends a line; negative if there is none."""
        feed = data.find(b"\n")
        if not self._returns:
            return feed
        back = data.find(b"\r", 0, feed if feed >= 0 else len(data))
        return back if back >= 0 else feed
