"""One slice through the kernel: every row goes to exactly one place, whatever it holds (I1)."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapehouse.contracts.load import loads
from tapehouse.kernel import refine as refine_module
from tapehouse.kernel.fingerprint import Tally, tally, total
from tapehouse.kernel.refine import UNPLACED, Records, Refined, refine
from tapehouse.kernel.verdict import Judge, JudgeState
from tapehouse.reference import References
from tapehouse.runs.proof import Proof

TEXT = """
apiVersion: v3.1.0
kind: DataContract
id: urn:test:refine
name: refine
version: 1.0.0
status: active
schema:
  - name: rows
    logicalType: object
    customProperties:
      - {property: tapehouse.filter, value: "kind != 'skip'"}
    properties:
      - name: t
        logicalType: timestamp
        customProperties:
          - {property: tapehouse.parse, value: epoch_ns}
          - {property: tapehouse.role, value: event_time}
      - {name: kind, logicalType: string}
      - name: size
        logicalType: integer
        customProperties: [{property: tapehouse.measure, value: true}]
        quality:
          - name: size_negative
            type: custom
            engine: tapehouse
            severity: error
            implementation: {rule: range, min: 0}
          - name: size_large
            type: custom
            engine: tapehouse
            severity: warning
            implementation: {rule: range, max: 100}
      - name: price
        logicalType: number
        required: true
        customProperties: [{property: tapehouse.scale, value: 2}, {property: tapehouse.measure, value: true}]
"""
CONTRACT = loads(TEXT)
JUDGE = Judge(CONTRACT, References.load(CONTRACT, {}))
SALTS = np.array([0, 0x1234_5678_9ABC_DEF0], np.uint64)
FIELD = st.one_of(st.none(), st.sampled_from(("0", "1", "99", "101", "-1", "1.25", "1.255", "x", "9" * 19)))
ROWS = st.lists(st.tuples(FIELD, st.sampled_from(("skip", "trade", "", None)), FIELD, FIELD), max_size=25)
Rows = list[tuple[str | None, str | None, str | None, str | None]]


def refined(rows: Rows, first: int = 0, only: list[int] | None = None) -> Refined:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("t", "kind", "size", "price"), pl.String), orient="row")
    numbers = np.arange(first, first + len(rows)) * 3
    chosen = None if only is None else np.array(only, np.int64)
    return refine(CONTRACT, JUDGE, JudgeState(), Records(frame, numbers, {}, 1, {}, chosen), SALTS)


def slow(row: tuple[str | None, str | None, str | None, str | None]) -> tuple[str, int]:
    """Where a row goes, and its flags."""
    time, kind, size, price = row

    def whole(text: str | None) -> int | None:
        return int(text) if text is not None and text.lstrip("-").isdigit() and len(text) < 19 else None

    if kind == "skip":
        return "filtered", 0
    bad = whole(time) is None or (size is not None and (whole(size) is None or whole(size) < 0))  # type: ignore[operator]
    if bad or price not in ("0", "1", "99", "101", "-1", "1.25"):
        return "rejected", 0
    return "good", int(whole(size) is not None and whole(size) > 100)  # type: ignore[operator]


@settings(deadline=None, max_examples=150)
@given(ROWS)
def test_every_row_goes_to_one_place(rows: Rows) -> None:
    made = refined(rows)
    places = [slow(row) for row in rows]
    for name, where in (("good", made.good), ("rejected", made.rejected)):
        assert where["_row"].to_list() == [3 * at for at, (place, _) in enumerate(places) if place == name]
    assert [flag > 0 for flag in made.good["_flags"]] == [bool(flag) for place, flag in places if place == "good"]
    assert made.positions.tolist() == [at for at, (place, _) in enumerate(places) if place == "rejected"]
    assert made.filtered_tally.rows == sum(place == "filtered" for place, _ in places)
    good = tally(made.good, CONTRACT.columns, SALTS)
    assert total([good, made.rejected_tally, made.filtered_tally]) == made.taken
    assert made.rejected_tally == tally(made.rejected, CONTRACT.columns, SALTS)
    assert made.taken.rows == len(rows)
    assert made.profile.columns["size"].rows == len(rows) - made.filtered_tally.rows


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(0, 25))
def test_slices_add_up_to_the_whole(rows: Rows, cut: int) -> None:
    cut = min(cut, len(rows))
    whole, parts = refined(rows), [refined(rows[:cut]), refined(rows[cut:], first=cut)]
    for name in ("taken", "rejected_tally", "filtered_tally"):
        assert total(getattr(part, name) for part in parts) == getattr(whole, name)
    assert pl.concat([part.good for part in parts]).equals(whole.good)
    assert parts[0].profile + parts[1].profile == whole.profile


@settings(deadline=None, max_examples=60)
@given(ROWS, st.sets(st.integers(0, 30).map(lambda n: 3 * n)))
def test_a_selection_takes_the_selected_records_alone(rows: Rows, only: set[int]) -> None:
    made, whole = refined(rows, only=sorted(only)), refined(rows)
    assert made.good.equals(whole.good.filter(pl.col("_row").is_in(list(only))))
    assert made.rejected["_row"].to_list() == [row for row in whole.rejected["_row"] if row in only]
    assert made.taken.rows == len(only & set(range(0, 3 * len(rows), 3)))
    assert total([tally(made.good, CONTRACT.columns, SALTS), made.rejected_tally, made.filtered_tally]) == made.taken


LOSSES = {
    "a filtered row for another": lambda kept, filtered: (kept, pl.concat([filtered[:1], filtered[:1], filtered[2:]])),
    "a rejected row for another": lambda kept, filtered: (pl.concat([kept[:2], kept[1:2], kept[3:]]), filtered),
    "a filtered row for a good one": lambda kept, filtered: (pl.concat([kept, kept[:1]]), filtered[1:]),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_row_lost_where_another_is_doubled_opens_the_proof(monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    """What entered is counted before rows are parted, what became of them afterwards: equal counts are not enough."""
    rows = [("1", "trade", "1", "1"), ("2", "skip", "1", "1"), ("3", "skip", "2", "99"), ("4", "trade", "-1", "1")]
    rows.append(("5", "trade", "-1", "99"))

    def gaps() -> list[str]:
        made = refined(rows)
        curated = tally(made.good, CONTRACT.columns, SALTS)
        parts = {"curated": curated, "quarantined": made.rejected_tally, "filtered": made.filtered_tally}
        return Proof(len(rows), 0, made.taken, parts).gaps()

    assert gaps() == []
    parted = refine_module._filter
    monkeypatch.setattr(refine_module, "_filter", lambda *given_: LOSSES[loss](*parted(*given_)))
    assert any(gap.startswith("fingerprint") for gap in gaps())


def test_a_row_without_event_time_is_rejected_though_no_rule_says_so() -> None:
    made = refined([(None, "trade", "1", "1"), ("5", "trade", "1", "1"), ("x", "trade", "1", "1")])
    assert made.good["_row"].to_list() == [3]
    assert made.rejected[UNPLACED].to_list() == [True, False]
    assert made.rejected["_text_t"].to_list() == [None, "x"]


def test_nothing_refines_to_nothing() -> None:
    made = refined([])
    assert made.taken == Tally(0, 0, {"size": 0, "price": 0})
    assert made.good.height == made.rejected.height == 0
