"""Sorting and repetition of keys, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapehouse import native
from tapehouse.native.order import argsort, repeated

pytestmark = pytest.mark.skipif(native.library is None, reason="the native library was not built")


@settings(deadline=None, max_examples=200)
@given(
    bits=st.integers(1, 63),
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 5000),
    distinct=st.sampled_from([1, 2, 7, 5000]),
    runs=st.integers(0, 40),
)
def test_order_is_numpys_stable_one(bits: int, seed: int, count: int, distinct: int, runs: int) -> None:
    """`runs` > 0: so many ascending runs, as files of a tape give them; 0: no order at all."""
    chance = np.random.default_rng(seed)
    pool = chance.integers(0, (1 << bits) - 1, distinct, endpoint=True)
    keys = pool[chance.integers(0, distinct, count)]
    if runs:
        keys = np.concatenate([np.sort(part) for part in np.array_split(keys, runs)])
    found = argsort(keys, bits)
    assert found is not None
    assert found.tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("bits", [1, 11, 12, 63])
def test_names_in_the_order_of_keys(bits: int) -> None:
    chance = np.random.default_rng(bits)
    keys = chance.integers(0, (1 << bits) - 1, 20_000, endpoint=True)
    names = chance.permutation(len(keys)).astype(np.uint32)
    found = argsort(keys, bits, names)
    assert found is not None
    assert found.tolist() == names[np.argsort(keys, kind="stable")].tolist()


@settings(deadline=None, max_examples=200)
@given(
    arrays=st.lists(st.lists(st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1)), max_size=50), max_size=5),
    copies=st.integers(1, 60),
)
def test_repeated_values(arrays: list[list[int]], copies: int) -> None:
    """Also over enough values that they are parted by their top bits."""
    padding = np.random.default_rng(copies).integers(6, 1 << 62, 40 * copies, dtype=np.uint64)
    given_arrays = [np.array(one, np.uint64) for one in arrays] + [padding]
    values, times = np.unique(np.concatenate(given_arrays), return_counts=True)
    found = repeated(given_arrays)
    assert found is not None
    assert found.tolist() == values[times > 1].tolist()


@pytest.mark.parametrize("count", [3_000, 300_000])
def test_repeats_among_many_values(count: int) -> None:
    """Odd and even ones, parted by many top bits."""
    hashes = np.random.default_rng(count).integers(0, (1 << 64) - 1, count, dtype=np.uint64, endpoint=True)
    again = hashes[:: count // 1_000]
    found = repeated([hashes[: count // 2], hashes[count // 2 :], again])
    assert found is not None
    assert found.tolist() == np.unique(again).tolist()


def test_many_repeats() -> None:
    hashes = np.repeat(np.arange(0, 1 << 62, 1 << 46, dtype=np.uint64), 3)
    found = repeated([hashes, hashes[:10]])
    assert found is not None
    assert found.tolist() == np.unique(hashes).tolist()
