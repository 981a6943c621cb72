"""Decompression in bounded pieces: gzip and zstd, any number of frames, never more memory than a few pieces.

Damage is not an exception of the whole batch: what was decoded before it is good, so iteration ends with `Damaged`,
which the reader turns into one malformed record.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import IO

import zstandard

PIECE_BYTES = 1 << 20
# A zstd block of 4 bytes may expand to 128 KiB, so 1 KiB of input never makes more than about 32 MiB of output.
_ZSTD_INPUT_BYTES = 1 << 10
_ZSTD_WINDOW_BYTES_MAX = 1 << 27
# Small batches may be very repetitive: the ratio is judged only once an expansion could hurt anybody.
EXPANSION_FLOOR_BYTES = 16 << 20


class Damaged(Exception):  # noqa: N818 - not an error of the caller: the end of what can be decoded
    """Compressed bytes end or go wrong here. `code`, `observed` and `bound` are those of `Malformed`."""

    def __init__(self, code: str, observed: str, bound: str) -> None:
        super().__init__(observed)
        self.code = code
        self.observed = observed
        self.bound = bound


class Expansion:
    """Counts decompressed bytes of a batch and ends it when they exceed `ratio_max` times its compressed size."""

    def __init__(self, compressed_bytes: int, ratio_max: int) -> None:
        self._limit = max(EXPANSION_FLOOR_BYTES, compressed_bytes * ratio_max)
        self._bound = f"at most {ratio_max} times the {compressed_bytes} compressed bytes (feed.max_expansion)"
        self._seen = 0

    def admit(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pass `pieces` on; raises Damaged(malformed_archive) at the piece that exceeds the limit."""
        for piece in pieces:
            self._seen += len(piece)
            if self._seen > self._limit:
                raise Damaged("malformed_archive", f"more than {self._limit} bytes after decompression", self._bound)
            yield piece


def gzip_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Decode concatenated gzip members; zero padding after the last one is allowed, anything else is damage."""
    with gzip.GzipFile(fileobj=file) as decoder:
        while True:
            try:
                # One step at a time: a longer read would lose what it has decoded when it meets damage.
                piece = decoder.read1(PIECE_BYTES)
            except EOFError as error:
                observed = "the gzip stream ends before its end mark"
                raise Damaged("malformed_truncated", observed, "a complete stream") from error
            except (OSError, zlib.error) as error:
                raise Damaged("malformed_archive", f"gzip: {error}", "an intact stream") from error
            if not piece:
                return
            yield piece


def zstd_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Decode concatenated zstd frames."""
    data = file.read(_ZSTD_INPUT_BYTES)
    while data:
        decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX).decompressobj()
        while not decoder.eof:
            if not data:
                raise Damaged("malformed_truncated", "the zstd stream ends before its end mark", "a complete stream")
            try:
                piece = decoder.decompress(data)
            except zstandard.ZstdError as error:
                raise Damaged("malformed_archive", f"zstd: {error}", "an intact stream") from error
            data = b"" if decoder.eof else file.read(_ZSTD_INPUT_BYTES)
            for start in range(0, len(piece), PIECE_BYTES):
                yield piece[start : start + PIECE_BYTES]
        data = decoder.unused_data or file.read(_ZSTD_INPUT_BYTES)
