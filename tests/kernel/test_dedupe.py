"""Duplicates against a dictionary, row by row; and what a collision of hashes costs: nothing."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tapehouse.contracts.model import Key
from tapehouse.kernel.dedupe import candidates, key_hashes, losers, repeated

KEY = Key(("venue", "id"), ("received",))
SCHEMA = {
    "venue": pl.String, "id": pl.Int64, "received": pl.Int64,
    "_batch": pl.String, "_row": pl.Int64, "_published": pl.Boolean,
}  # fmt: skip
Row = tuple[str | None, int | None, int | None, str, int, bool]

ROWS = st.lists(
    st.tuples(
        st.sampled_from((None, "", "A", "B", "é")),
        st.one_of(st.none(), st.integers(-2, 2)),
        st.one_of(st.none(), st.integers(0, 3)),
        st.sampled_from(("aa", "bb", "cc")),
        st.integers(0, 99),
        st.booleans(),
    ),
    max_size=40,
    unique_by=lambda row: (row[3], row[4]),
)


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def slow(rows: list[Row]) -> dict[tuple[str, int], tuple[str, int]]:
    """Each dropped row and the one kept in its place. Published rows win, and are never dropped."""
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        if row[0] is not None and row[1] is not None:
            groups.setdefault((row[0], row[1]), []).append(row)
    dropped = {}
    for group in groups.values():
        group.sort(key=lambda row: (not row[5], row[2] is None, row[2] or 0, row[3], row[4]))
        dropped |= {(row[3], row[4]): (group[0][3], group[0][4]) for row in group[1:] if not row[5]}
    return dropped


def found(rows: pl.DataFrame, key: Key) -> dict[tuple[str, int], tuple[str, int]]:
    names = ("_batch", "_row", "_kept_batch", "_kept_row")
    return {(a, b): (c, d) for a, b, c, d in losers(rows, key).select(names).iter_rows()}


@settings(deadline=None, max_examples=150)
@given(ROWS)
def test_the_first_by_the_contract_is_kept(rows: list[Row]) -> None:
    assert found(frame(rows), KEY) == slow(rows)


@settings(deadline=None, max_examples=100)
@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 4))
def test_hashes_find_the_same_duplicates_however_the_rows_are_cut(rows: list[Row], chance: object, parts: int) -> None:
    shuffled = chance.sample(rows, len(rows))  # type: ignore[attr-defined]
    frames = [frame(shuffled[start::parts]) for start in range(parts)]
    hashes = [key_hashes(part, KEY) for part in frames]
    values = repeated(hashes)
    chosen = pl.concat([part[candidates(ours, values)] for part, ours in zip(frames, hashes, strict=True)])
    assert found(chosen, KEY) == slow(rows)


@settings(deadline=None, max_examples=100)
@given(ROWS)
def test_rows_that_only_share_a_hash_are_all_kept(rows: list[Row]) -> None:
    """Every row is made a candidate, as if all hashes were one: the real keys decide."""
    everything = frame(rows)
    hashes = key_hashes(everything, KEY) * 0
    values = repeated([hashes])
    chosen = everything[candidates(hashes, values)]
    assert chosen.height == (everything.height if everything.height > 1 else 0)
    assert found(chosen, KEY) == slow(rows)


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_categories_are_keys_like_the_text_they_stand_for(rows: list[Row]) -> None:
    """Also over frames that were made apart, whose categories came in another order."""
    text, half = frame(rows), len(rows) // 2
    kind = {"venue": pl.Categorical}
    parts = [text[half:].cast(kind), text[:half].cast(kind)]
    assert sorted(repeated([key_hashes(part, KEY) for part in parts])) == sorted(
        repeated([key_hashes(pl.concat(parts), KEY)])
    )
    assert found(pl.concat(parts), KEY) == slow(rows)


def test_without_a_rule_of_choice_batch_and_record_decide() -> None:
    rows: list[Row] = [("A", 1, 9, "bb", 0, False), ("A", 1, 1, "aa", 7, False), ("A", 1, 1, "aa", 3, False)]
    assert found(frame(rows), Key(("venue", "id"))) == {("bb", 0): ("aa", 3), ("aa", 7): ("aa", 3)}


def test_hashes_tell_parts_of_a_key_apart() -> None:
    """Swapped parts and equal parts are different keys (a plain xor of hashes would make all equal pairs one)."""
    made = pl.DataFrame({"a": [1, 2, 1, 2, 3], "b": [2, 1, 1, 2, 3]})
    assert len(set(key_hashes(made, Key(("a", "b"))).tolist())) == 5


def test_nothing_repeats_in_nothing() -> None:
    empty = key_hashes(frame([]), KEY)
    assert repeated([]).tolist() == repeated([empty]).tolist() == []
    assert candidates(empty, repeated([])).tolist() == []
    assert losers(frame([]), KEY).height == 0
