"""Arrays as series, and text that is plain ASCII."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapehouse import native
from tapehouse.native import csv
from tapehouse.native.columns import series_of


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.uint32, np.int32, np.uint8, np.int8, np.float64, np.bool_])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000])
def test_arrays_as_series(kind: type[np.generic], size: int) -> None:
    values = np.random.default_rng(size).integers(0, 2, size).astype(kind)
    found = series_of("name", values)
    assert found.name == "name"
    assert found.equals(pl.Series("name", values))
    assert found.dtype == pl.Series(values).dtype


def test_a_strided_array() -> None:
    values = np.arange(20)[::3]
    assert series_of("", values).to_list() == values.tolist()
    assert series_of("", values > 7).to_list() == (values > 7).tolist()


@pytest.mark.skipif(native.library is None, reason="the native library was not built")
@given(st.binary(max_size=200), st.integers(0, 70_000), st.binary(max_size=3))
def test_ascii_is_pythons_without_nul(start: bytes, length: int, end: bytes) -> None:
    data = start + b"," * length + end
    assert csv.is_ascii(data) == (data.isascii() and b"\0" not in data)
