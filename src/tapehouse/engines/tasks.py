"""What a distributed engine offers to a run: functions on items, each in a task that may be tried again elsewhere.

A task may run twice at the same time or again after it failed. Only one attempt's result counts, so whatever a task
leaves outside of its result must carry its attempt's name, and what no result names must not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

# Told of a step's progress: how many of the tasks are done.
Watch = Callable[[int], None]


def unwatched(done: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Something to be handed to whoever works on `group`: `head` is a small picklable value, `body` bytes."""

    group: int
    head: Any
    body: bytes


class Scattered(Protocol[R_co]):
    """Parcels that tasks produced and that lie with the engine, and each task's result, in the order of the items."""

    @property
    def results(self) -> Sequence[R_co]:
        """One for each item."""
        ...

    def gather(self, work: Callable[[int, Iterable[Parcel], str], R], watch: Watch = unwatched) -> list[R]:
        """`work(group, parcels, attempt)` for each group there is; parcels in any order, results too."""
        ...

    def close(self) -> None:
        """Forget the parcels."""
        ...


class Tasks(Protocol):
    """A distributed engine. Functions and items must be picklable; `attempt` is made of digits and names the attempt
    among all those of the engine's lifetime. Raises what the function raised if that was a TapehouseError, without
    trying again; RunError after other failures, tried again first.
    """

    @property
    def name(self) -> str:
        """Of the engine, as table `runs` has it."""
        ...

    @property
    def description(self) -> str:
        """Engine, version and where it runs."""
        ...

    def map(self, work: Callable[[T, str], R], items: Sequence[T], watch: Watch = unwatched) -> list[R]:
        """`work(item, attempt)` for each item, a task each, begun in the order given."""
        ...

    def scatter(
        self, work: Callable[[T, str], Iterator[Parcel | R]], items: Sequence[T], watch: Watch = unwatched
    ) -> Scattered[R]:
        """`work(item, attempt)` for each item; it yields parcels and, as its last value, the item's result."""
        ...
