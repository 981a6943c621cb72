"""The compiled reader's values against the parser's, grammar by grammar: the same numbers and the same refusals."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapehouse import native
from tapehouse.contracts.model import Column, Contract, Feed, Grammar, Kind
from tapehouse.feeds.delimited.compiled import Reader
from tapehouse.feeds.delimited.layout import layout_of_order
from tapehouse.feeds.lines import Dialect
from tapehouse.kernel.parse import parse

pytestmark = pytest.mark.skipif(native.library is None, reason="the native library was not built")

DIALECT = Dialect(ord(","), ord('"'), b"", 1 << 20)
fuzz = settings(deadline=None, max_examples=300)
tail = st.text(alphabet="0123456789", max_size=12)
decimals = st.one_of(
    st.text(alphabet="0123456789.+-e ", max_size=24),
    st.builds("{}{}.{}".format, st.sampled_from(["", "+", "-"]), tail, tail),
    st.decimals(allow_nan=False, allow_infinity=False, places=6).map(str),
    st.integers(-(2**64), 2**64).map(str),
)
clock = st.builds(
    "{:04d}-{:02d}-{:02d}{}{:02d}:{:02d}:{:02d}{}{}".format,
    st.one_of(st.integers(1600, 2300), st.integers(0, 9999)),
    st.integers(0, 13), st.integers(0, 32), st.sampled_from(["T", "T", " ", "t"]), st.integers(0, 25),
    st.integers(0, 61), st.integers(0, 61),
    st.one_of(st.just(""), tail.map(".{}".format)),
    st.sampled_from(["Z", "Z", "Z", "", "+00:00", "-05:30", "+23:59", "+24:00", "+05:60", "z", "+0530"]),
)  # fmt: skip
damaged = st.builds(
    lambda text, at, byte: text[:at] + byte + text[at + 1 :], clock, st.integers(0, 34), st.sampled_from("0 :-.TZx9")
)


def both(column: Column, texts: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The column as the compiled loop reads it, and as the parser does, each with its marker of refusals."""
    name = Column("a", Kind.STRING, Grammar.TEXT, "a")
    contract = Contract("i", "n", "1.0.0", "0" * 64, "", (name, column), (), feed=Feed(header=False))
    data = "".join(f"x{number},{text}\n" for number, text in enumerate(texts)).encode()
    block = Reader(layout_of_order(contract, 0), DIALECT).read(data)
    assert block is not None
    read = parse(contract, pl.DataFrame(block.columns), block.failed, {})
    text = pl.Series(column.name, [text or None for text in texts], dtype=pl.String)
    plain = parse(contract, pl.DataFrame([pl.Series("a", [f"x{n}" for n in range(len(texts))]), text]), {}, {})
    return read.select(pl.col(f"^{column.name}|_failed_{column.name}$")), plain.select(
        pl.col(f"^{column.name}|_failed_{column.name}$")
    )


def check(column: Column, texts: list[str]) -> None:
    """Once with room to read ahead after every text, and once with the last ones at the very end of the block."""
    for padded in (texts, [*texts, *["1"] * 20]):
        read, plain = both(column, padded)
        assert read.to_dict(as_series=False) == plain.to_dict(as_series=False)


@fuzz
@given(st.lists(decimals, min_size=1, max_size=12), st.sampled_from([0, 1, 4, 6, 18]))
@example(["9223372036854.775807", "9223372036854.775808", "-9223372036854.775808", "-9223372036854.775809"], 6)
@example([".", "5.", ".5", "+.5", "0.0000000", "1.0000001", "", "00000000000000000000001", "1.5.0", "1e5"], 6)
def test_decimals(texts: list[str], scale: int) -> None:
    check(Column("v", Kind.DECIMAL, Grammar.DECIMAL, "v", scale=scale), texts)


@fuzz
@given(st.lists(st.one_of(clock, clock, damaged), min_size=1, max_size=12))
@example(["1678-01-01T00:00:00Z", "2261-12-31T23:59:59.999999999Z", "2262-04-11T23:47:16Z", "1677-09-21T00:12:43Z"])
@example(["2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00.Z"])
@example(["2024-03-04T14:30:00Z", "2024-03-04T14:30:60Z", "2024-03-04T14:30:00.1234567891Z", "2024-03-04 14:30:00"])
def test_times(texts: list[str]) -> None:
    check(Column("v", Kind.TIMESTAMP, Grammar.ISO8601, "v"), texts)


@fuzz
@given(
    st.lists(
        st.one_of(st.text(alphabet="0123456789+- x", max_size=22), st.integers(-(2**64), 2**64).map(str)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([(Kind.INTEGER, Grammar.INTEGER, 0), (Kind.TIMESTAMP, Grammar.EPOCH_MS, 0),
                     (Kind.TIMESTAMP, Grammar.EPOCH_NS, 0), (Kind.DECIMAL, Grammar.SCALED, 4)]),
)  # fmt: skip
@example(["9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"], (
    Kind.INTEGER, Grammar.INTEGER, 0,
))  # fmt: skip
def test_whole_numbers(texts: list[str], how: tuple[Kind, Grammar, int]) -> None:
    kind, grammar, scale = how
    column = Column("v", kind, grammar, "v", scale=6 if kind == Kind.DECIMAL else 0, source_scale=scale)
    limit = 10**18 - 1
    for padded in (texts, [*texts, *["1"] * 20]):
        read, plain = both(column, padded)
        values = plain["v"]
        if kind == Kind.DECIMAL:  # the reader also refuses what no decimal(18) holds, which the parser leaves to others
            refused = plain["_failed_v"] if "_failed_v" in plain.columns else pl.repeat(False, len(values), eager=True)
            beyond = values.is_between(-limit, limit).not_().fill_null(False)
            assert read["v"].to_list() == values.set(beyond, None).to_list()
            marks = read["_failed_v"] if "_failed_v" in read.columns else pl.repeat(False, len(values), eager=True)
            assert marks.to_list() == (refused | beyond).to_list()
        else:
            assert read.to_dict(as_series=False) == plain.to_dict(as_series=False)
