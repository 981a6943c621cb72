"""What the tests have done in tasks: workers can import it, as they cannot import the tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tapehouse.engines.tasks import Parcel
from tapehouse.errors import FeedError


def squared(number: int, attempt: str) -> tuple[int, str]:
    return number * number, attempt


def refused(number: int, attempt: str) -> int:
    if number == 2:
        raise FeedError("cannot be read", path="two.csv", fix="send it again")
    return number


def broken(folder: Path, number: int, attempt: str) -> int:
    (folder / f"{number}.{attempt}").touch()
    return 1 // (number - 1)


def sent(number: int, attempt: str) -> Iterator[Parcel | str]:
    for group in range(3):
        yield Parcel(group * 100, {"from": number}, bytes([number]) * (1 << 20))
    yield f"item {number}"


def counted(group: int, parcels: Iterable[Parcel], attempt: str) -> tuple[int, int, list[int]]:
    given = list(parcels)
    assert {bytes(memoryview(parcel.body))[:1] for parcel in given} == {bytes([one.head["from"]]) for one in given}
    return group, sum(len(memoryview(one.body)) for one in given), sorted(one.head["from"] for one in given)


def broken_off(number: int, attempt: str) -> Iterator[Parcel | str]:
    yield Parcel(0, number, b"")
    raise FeedError("the file ends here", path="one.csv")
