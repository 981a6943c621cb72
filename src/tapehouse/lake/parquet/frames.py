"""zstd frames for pages: from the library, or for integers of a narrow range laid out by hand.

Sorted market data is full of 64-bit integers of which the low few bytes differ and the rest repeats from
the value before. zstd finds just that, one repetition a value, at 25 to 35 ns each, spent on searching and entropy
coding. A frame may also say it once for a whole block: sequence codes in RLE mode with the last offset repeated,
literals raw (RFC 8878, 3.1.1.3). Copying the low bytes is then all the work, 2 ns a value, for pages half as large
again as zstd would make them. The library emits the same modes for regular data, so decoders meet them anyway.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import zstandard

from tapehouse.lake.parquet.pack import low_bytes

STRIDE = 8
# The shortest match is three bytes: values that differ in more than five cannot be told this way.
MOST_LOW_BYTES = 5
_BLOCK_VALUES = (1 << 17) // STRIDE  # a block holds 128 KiB at most
_RAW_BLOCK, _COMPRESSED_BLOCK = 0, 2
_ALL_RLE = 0b01010100  # literal lengths, offsets, match lengths: one code each for the whole block
_SINGLE_SEGMENT_SIZE4 = 0b10100000

Buffer = bytes | npt.NDArray[np.uint8]


class Compressors:
    """zstd with the settings that suit columns; for one thread at a time.

    `near` looks for what repeats a few values back: its table of 512 places stays in the processor's first cache. For
    identifiers and times that is a quarter faster than level 1, and a seventh to a third smaller. `level1` suits text
    that repeats far back, and codes in which there is little to find: it leaves them sooner.
    """

    def __init__(self) -> None:
        settings = zstandard.ZstdCompressionParameters(
            window_log=20,
            chain_log=6,
            hash_log=9,
            search_log=1,
            min_match=4,
            target_length=0,
            strategy=zstandard.STRATEGY_FAST,
            write_content_size=1,
        )
        self._near = zstandard.ZstdCompressor(compression_params=settings)
        self._level1 = zstandard.ZstdCompressor(level=1)

    def near(self, data: Buffer) -> bytes:
        """The frame that looks near."""
        return self._near.compress(memory(data))

    def level1(self, data: Buffer) -> bytes:
        """The frame of level 1."""
        return self._level1.compress(memory(data))

    def better(self, sample: Buffer) -> Callable[[Buffer], bytes]:
        """Whichever makes less of a sample."""
        return self.near if len(self.near(sample)) <= len(self.level1(sample)) else self.level1


def memory(data: Buffer) -> bytes | memoryview:
    """`data` for functions that take any contiguous memory."""
    return data if isinstance(data, bytes) else data.data


def strided(prefix: bytes, values: npt.NDArray[np.int64], low: int) -> list[Buffer]:
    """A frame of `prefix` and all bytes of `values`, which are alike but for their `low` (1..5) lowest bytes.

    Returns the frame's parts. `values` holds at least two.
    """
    literals = low_bytes(values[1:], low)
    head = prefix + values[:1].tobytes()
    parts: list[Buffer] = [
        b"\x28\xb5\x2f\xfd" + bytes([_SINGLE_SEGMENT_SIZE4]) + (len(prefix) + values.nbytes).to_bytes(4, "little"),
        _block(_RAW_BLOCK, len(head), last=False) + head,
    ]
    # The first match spells its offset: code 1 and an extra bit of 1 mean the third of the offsets a frame starts
    # with (1, 4, 8). From then on code 0, without extra bits, repeats it.
    parts += _matches(literals[:low], low, code=1, bits=b"\x03", last=len(values) == 2)
    step = _BLOCK_VALUES * low
    for start in range(low, len(literals), step):
        last = start + step >= len(literals)
        parts += _matches(literals[start : start + step], low, code=0, bits=b"\x01", last=last)
    return parts


def _matches(literals: npt.NDArray[np.uint8], low: int, *, code: int, bits: bytes, last: bool) -> list[Buffer]:
    """A block of sequences that are all `low` literals and a match of the rest of the stride."""
    count = len(literals) // low
    number = bytes([count]) if count < 128 else bytes([(count >> 8) + 128, count & 255])
    section = (len(literals) << 4 | 0b1100).to_bytes(3, "little")  # raw literals, size in 20 bits
    tail = number + bytes([_ALL_RLE, low, code, STRIDE - low - 3]) + bits
    size = len(section) + len(literals) + len(tail)
    return [_block(_COMPRESSED_BLOCK, size, last=last) + section, literals, tail]


def _block(kind: int, size: int, *, last: bool) -> bytes:
    return (size << 3 | kind << 1 | last).to_bytes(3, "little")
