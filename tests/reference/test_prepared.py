"""Sessions written down beforehand are those of the library, in every year."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tapehouse.contracts.model import Calendar
from tapehouse.errors import ReferenceDataError
from tapehouse.reference import prepare, prepared
from tapehouse.reference.calendars import calendar_version, sessions

# One that the library knows for all years, and one that it knows for some, with a break at noon.
EXCHANGES = ("XNYS", "XHKG")
YEARS = (1678, 1899, 1962, 1987, 2001, 2013, 2026, 2027, 2051, 2100, 2261)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    prepare.write(out, EXCHANGES)
    return out


@pytest.fixture(autouse=True)
def _library_again() -> Iterator[None]:
    yield
    prepared.use(None)
    _forget()


def _forget() -> None:
    from tapehouse.reference import calendars

    calendars._year.cache_clear()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_prepared_sessions_are_those_of_the_library(folder: Path, exchange: str) -> None:
    calendar = Calendar("regular", exchange=exchange)
    asked = {year: sessions(calendar, (year,)) for year in YEARS}
    version = calendar_version(calendar)
    assert len(asked[2013].opens) > 50
    prepared.use(folder)
    _forget()
    for year, expected in asked.items():
        found = sessions(calendar, (year,))
        assert np.array_equal(found.opens, expected.opens), year
        assert np.array_equal(found.closes, expected.closes), year
    assert calendar_version(calendar) == version


def test_an_exchange_that_was_not_prepared_is_an_error(folder: Path) -> None:
    prepared.use(folder)
    with pytest.raises(ReferenceDataError, match="XLON"):
        sessions(Calendar("regular", exchange="XLON"), (2013,))


def test_two_writes_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    prepare.write(tmp_path, ("XHKG",))
    assert (tmp_path / "XHKG.npy").read_bytes() == (folder / "XHKG.npy").read_bytes()
