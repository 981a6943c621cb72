"""Random numbers by position: the value for a row depends on (seed, stream, position) and on nothing drawn before.

That makes generation independent of block and file size, and lets any row be produced again at any time.
The mixer is SplitMix64; the numbers do not depend on a library's generator, so they stay the same across releases.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = (np.uint64(bits) for bits in (30, 27, 31, 11))


def _mix(words: Words) -> Words:
    """SplitMix64's finaliser, in place."""
    words ^= words >> _S30
    words *= _MIX_1
    words ^= words >> _S27
    words *= _MIX_2
    words ^= words >> _S31
    return words


def draw(seed: int, stream: str, positions: Ints) -> Words:
    """One 64-bit word per position; distinct `stream` names give independent words."""
    start = np.array([seed & 0xFFFFFFFFFFFFFFFF, crc32(stream.encode())], dtype=np.uint64)
    key = _mix(start * _GOLDEN + _GOLDEN)
    words = positions.astype(np.uint64)
    words *= _GOLDEN
    words += _mix(np.array([key[0] ^ (key[1] << np.uint64(1))], dtype=np.uint64))[0]
    return _mix(words)


def unit(seed: int, stream: str, positions: Ints) -> npt.NDArray[np.float64]:
    """Uniform doubles in [0, 1)."""
    return (draw(seed, stream, positions) >> _S11).astype(np.float64) * 2.0**-53


def between(seed: int, stream: str, positions: Ints, low: int, high: int) -> Ints:
    """Uniform integers in [low, high); the width must stay below 2^53."""
    width = high - low
    if not 0 < width < 1 << 53:
        raise ValueError(f"range [{low}, {high}) must hold between 1 and 2^53 values")
    return (unit(seed, stream, positions) * width).astype(np.int64) + low


def choose(seed: int, stream: str, population: int, count: int) -> Ints:
    """`count` distinct positions of range(population), in random order; the smallest words win.

    Scans the population in blocks and keeps only candidates, so memory follows `count`.
    """
    if count == 0:
        return np.empty(0, dtype=np.int64)
    if count > population:
        raise ValueError(f"cannot choose {count} of {population}")
    share = min(1.0, (count + 8.0 * count**0.5 + 64.0) / population)
    limit = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    positions, words = [], []
    for start in range(0, population, 1 << 20):
        block = np.arange(start, min(start + (1 << 20), population), dtype=np.int64)
        drawn = draw(seed, stream, block)
        near = drawn <= limit
        positions.append(block[near])
        words.append(drawn[near])
    candidates, order = np.concatenate(positions), np.concatenate(words)
    if len(candidates) < count:  # eight standard deviations: not met in practice, and still exact
        candidates = np.arange(population, dtype=np.int64)
        order = draw(seed, stream, candidates)
    return candidates[np.argsort(order, kind="stable")[:count]]
