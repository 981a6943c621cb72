"""Which function decides which row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tapehouse.cloud.conformance.stacks import Deployment, Resource, Stacks

Where = Literal["each", "test", "prod"]
Check = Callable[[Stacks], Iterator[str]]
Comparison = Callable[[Stacks, Stacks], Iterator[str]]


@dataclass(frozen=True, slots=True)
class _Entry:
    where: Where
    run: Callable[[Deployment], Iterator[str]]


_ENTRIES: dict[str, list[_Entry]] = {}


def check(*rows: str, where: Where = "each") -> Callable[[Check], Check]:
    """The decorated function yields what breaks these rows in the stacks of one environment; `where` limits which."""

    def register(function: Check) -> Check:
        def run(deployment: Deployment) -> Iterator[str]:
            for stacks in deployment.environments():
                kind = "prod" if stacks.facts.production else "test"
                if where in ("each", kind):
                    yield from (f"{kind}: {one}" for one in function(stacks))

        for row in rows:
            _ENTRIES.setdefault(row, []).append(_Entry(where, run))
        return function

    return register


def compare(*rows: str) -> Callable[[Comparison], Comparison]:
    """The decorated function yields what breaks these rows between the stacks of test and of prod."""

    def register(function: Comparison) -> Comparison:
        for row in rows:
            _ENTRIES.setdefault(row, []).append(_Entry("each", lambda one: function(one.test, one.prod)))
        return function

    return register


def checked() -> Mapping[str, int]:
    """Rows that have a check over templates, with the number of functions that decide them."""
    _load()
    return {row: len(entries) for row, entries in _ENTRIES.items()}


def violations(row: str, deployment: Deployment) -> list[str]:
    """What breaks the row in that deployment: texts naming the environment, the resource and what is wrong with it.

    KeyError for a row that no check decides.
    """
    _load()
    return [text for entry in _ENTRIES[row] for text in entry.run(deployment)]


def absent(found: Iterable[object], what: str) -> Iterator[str]:
    """A violation when there is none of what a row is about."""
    if not any(True for _ in found):
        yield f"there is no {what}"


def each(found: Iterable[Resource], what: str, judge: Callable[[Resource], str | None]) -> Iterator[str]:
    """The common form: at least one resource, and `judge` finds nothing wrong with any of them."""
    resources = list(found)
    yield from absent(resources, what)
    for one in resources:
        wrong = judge(one)
        if wrong:
            yield f"{one}: {wrong}"


def _load() -> None:
    import tapehouse.cloud.conformance.checks  # noqa: F401 - importing it registers the checks
