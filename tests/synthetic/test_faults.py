"""How shares of faults are written, and where faults are placed."""

from __future__ import annotations

import numpy as np
import pytest

from tapehouse.errors import UsageError
from tapehouse.synthetic.faults import QUOTE_FAULTS, TRADE_FAULTS, counts_of, parse_faults, place, window
from tapehouse.synthetic.noise import between, choose, draw, unit


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("all", dict.fromkeys(TRADE_FAULTS, 0.001)),
        ("default", dict.fromkeys(TRADE_FAULTS, 0.001)),
        ("none", {}),
        ("", {}),
        ("late=0.01,bad_price", {"late": 0.01, "bad_price": 0.001}),
        ("malformed=0.02", {"malformed_columns": 0.02, "malformed_nul": 0.02, "malformed_encoding": 0.02}),
        ("all=0.5, late=0", dict.fromkeys(TRADE_FAULTS, 0.5) | {"late": 0.0}),
    ],
)
def test_shares_as_written(text: str, shares: dict[str, float]) -> None:
    assert parse_faults(text, TRADE_FAULTS) == shares


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("bad_prise=0.1", "no fault is called 'bad_prise'", "did you mean 'bad_price'?"),
        ("late=often", "'late=often' does not end in a number", "late=0.01"),
        ("late=-0.1", "share of late is -0.1, outside 0..1", "0.001"),
        ("late=nan", "share of late is nan", "0.001"),
    ],
)
def test_wrong_shares_say_how_to_write_them(text: str, message: str, fix: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_faults(text, TRADE_FAULTS)
    assert message in refused.value.message
    assert fix in refused.value.fix


def test_a_share_above_zero_is_at_least_one_row() -> None:
    assert counts_of({"late": 0.001, "bad_price": 0.0, "duplicate": 0.25}, 100) == {"late": 1, "duplicate": 25}


@pytest.mark.parametrize("kinds", [TRADE_FAULTS, QUOTE_FAULTS])
def test_every_kind_names_itself_and_demands_a_code(kinds: dict[str, object]) -> None:
    for name, kind in kinds.items():
        assert kind.name == name  # type: ignore[attr-defined]
        assert kind.codes  # type: ignore[attr-defined]
        assert not set(kind.codes) & set(kind.also)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("population", "count"), [(10, 10), (1_000, 1), (3_000_000, 5_000), (100, 0)])
def test_chosen_places_are_distinct_and_in_range(population: int, count: int) -> None:
    chosen = choose(5, "places", population, count)
    assert len(np.unique(chosen)) == count == len(chosen)
    assert count == 0 or (chosen.min() >= 0 and chosen.max() < population)


def test_places_of_different_kinds_never_meet_and_windows_lose_none() -> None:
    placed = place({"a": 300, "b": 500}, population=1_000, seed=1, stream="x")
    assert not set(placed["a"].positions) & set(placed["b"].positions)
    for name, spoiled in placed.items():
        parts = [window(placed, start, start + 70).get(name) for start in range(0, 1_000, 70)]
        seen = [part.positions + 70 * index for index, part in enumerate(parts) if part is not None]
        assert np.array_equal(np.concatenate(seen), spoiled.positions)
        assert sorted(spoiled.serials) == list(range(len(spoiled.positions)))


def test_noise_depends_on_seed_stream_and_position_alone() -> None:
    positions = np.arange(100_000, dtype=np.int64)
    words = draw(1, "a", positions)
    assert np.array_equal(draw(1, "a", positions[500:600]), words[500:600])
    assert len(np.unique(words)) == len(words)
    assert not np.any(words == draw(2, "a", positions))
    assert not np.any(words == draw(1, "b", positions))
    assert abs(unit(1, "a", positions).mean() - 0.5) < 0.005
    assert set(between(1, "a", positions, -3, 4)) == set(range(-3, 4))
