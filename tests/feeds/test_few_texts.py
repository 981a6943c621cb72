"""A text column with few values is read as categories; the dictionary of a block grows with what it meets."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tapehouse.contracts.load import loads
from tapehouse.feeds import reader
from tapehouse.feeds.base import BatchSource

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: urn:test:texts
name: texts
version: 1.0.0
status: active
schema:
  - name: texts
    logicalType: object
    customProperties:
      - {property: tapehouse.feed, value: {format: csv}}
    properties:
      - name: t
        logicalType: timestamp
        customProperties:
          - {property: tapehouse.parse, value: epoch_ns}
          - {property: tapehouse.role, value: event_time}
      - {name: text, logicalType: string}
"""


@pytest.mark.parametrize("distinct", [1, 255, 256, 257, 1024, 1025, 4096, 8191, 8192, 8193])
def test_as_many_texts_as_there_may_be(tmp_path: Path, distinct: int) -> None:
    """Short ones that fit a view and long ones that do not, each several times."""
    texts = [f"a-rather-long-text-{number}" if number % 3 == 0 else f"n{number}" for number in range(distinct)]
    order = np.concatenate([np.arange(distinct), np.random.default_rng(distinct).integers(0, distinct, 5 * distinct)])
    wanted = [texts[number] for number in order]
    data = "t,text\n" + "".join(f"{number},{text}\n" for number, text in enumerate(wanted))
    path = tmp_path / "texts.csv"
    path.write_text(data)
    source = BatchSource(path, hashlib.sha256(data.encode()).hexdigest(), path.name, path.stat().st_size)
    slices = list(reader("csv")(loads(CONTRACT, source="texts.yaml"), source, slice_bytes=1 << 24))
    assert [text for part in slices for text in part.frame["text"].cast(pl.String).to_list()] == wanted
