"""How objects age: from class to class, and out. Days by prefix of each bucket, checked before there is a template.

S3 moves objects down one waterfall only, each class bills a least stay, and what Iceberg reads must stay readable at
once. A rule that breaks this is refused here, not at deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tapehouse.contracts.model import Contract
from tapehouse.errors import UsageError

# Down the waterfall: class and the days it bills at least.
LEAST_DAYS = {
    "STANDARD_IA": 30,
    "INTELLIGENT_TIERING": 0,
    "GLACIER_IR": 90,
    "GLACIER": 90,
    "DEEP_ARCHIVE": 180,
}
_ORDER = tuple(LEAST_DAYS)
# Objects cannot enter this class before they are this old.
_ENTRY_DAYS = {"STANDARD_IA": 30}
_SLOW = ("GLACIER", "DEEP_ARCHIVE")
ABORT_DAYS_MAX = 7
# A file stays in landing/ for as long as any message about it can: fourteen days in the queue, fourteen in its
# dead-letter queue. Whoever publishes it has copied it under raw/ by then, or it is found in the dead-letter queue.
LANDING_DAYS = 30
GLACIER_DAYS = 90
DEEP_ARCHIVE_DAYS = 365


@dataclass(frozen=True, slots=True)
class Step:
    """Objects enter `storage_class` when `days` old (noncurrent ones: when replaced for so long)."""

    storage_class: str
    days: int


_TIERED = Step("INTELLIGENT_TIERING", 0)
# What operators put under archived/ passes Intelligent-Tiering's archive tier on its way: the bucket is so configured.
_SET_ASIDE = (_TIERED, Step("DEEP_ARCHIVE", DEEP_ARCHIVE_DAYS))


@dataclass(frozen=True, slots=True)
class Ageing:
    """One lifecycle rule. `expire`, `noncurrent_expire` and `abort` (of unfinished uploads) in days, None for never;
    `live` says that objects are read at any time without notice, so that none may go where reading takes hours.
    """

    name: str
    prefix: str = ""
    steps: tuple[Step, ...] = ()
    expire: int | None = None
    noncurrent: tuple[Step, ...] = ()
    noncurrent_expire: int | None = None
    abort: int | None = None
    live: bool = False

    def problems(self) -> Iterator[str]:
        """What S3 would refuse or bill for, in words; nothing when the rule is sound."""
        if self.abort is not None and not 1 <= self.abort <= ABORT_DAYS_MAX:
            yield f"uploads are given up after {self.abort} days, not 1 to {ABORT_DAYS_MAX}"
        yield from _descent(self.steps, self.expire, "")
        yield from _descent(self.noncurrent, self.noncurrent_expire, "noncurrent ")
        slow = [step.storage_class for step in (*self.steps, *self.noncurrent) if step.storage_class in _SLOW]
        if self.live and slow:
            yield f"objects that are read at any time would go to {', '.join(slow)}"


def checked(given: Sequence[Ageing]) -> tuple[Ageing, ...]:
    """The rules of one bucket, and one for its unfinished uploads wherever they are.

    UsageError with all that is wrong in them, or where two rules are about the same objects.
    """
    rules = (*given, Ageing("uploads", abort=ABORT_DAYS_MAX))
    found = [f"{rule.name}: {problem}" for rule in rules for problem in rule.problems()]
    for at, one in enumerate(rules):
        found += [
            f"{one.name} and {other.name} both apply under {max(one.prefix, other.prefix, key=len)!r}"
            for other in rules[at + 1 :]
            if _overlap(one, other)
        ]
    if found:
        raise UsageError("\n".join(found), fix="change the days, or the order of the classes")
    return rules


def _overlap(one: Ageing, other: Ageing) -> bool:
    """Whether one object may fall under both; a rule that only gives up uploads disturbs none."""
    nested = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    current = all(rule.steps or rule.expire is not None for rule in (one, other))
    noncurrent = all(rule.noncurrent or rule.noncurrent_expire is not None for rule in (one, other))
    return nested and (current or noncurrent)


def _descent(steps: Sequence[Step], expire: int | None, which: str) -> Iterator[str]:
    for step in steps:
        if step.storage_class not in LEAST_DAYS:
            yield f"{which}class {step.storage_class} is none of {', '.join(_ORDER)}"
            return
        if step.days < _ENTRY_DAYS.get(step.storage_class, 0):
            least = _ENTRY_DAYS[step.storage_class]
            yield f"{which}{step.storage_class} takes objects from {least} days on, not {step.days}"
    for before, after in pairwise(steps):
        if _ORDER.index(after.storage_class) <= _ORDER.index(before.storage_class):
            yield f"{which}{before.storage_class} does not lead to {after.storage_class}"
        yield from _stay(before, after.days, which)
    if steps and expire is not None:
        yield from _stay(steps[-1], expire, which)
    if expire is not None and expire < 1:
        yield f"{which}objects would expire after {expire} days"


def _stay(step: Step, until: int, which: str) -> Iterator[str]:
    least = max(LEAST_DAYS[step.storage_class], 1)
    if until - step.days < least:
        yield f"{which}{step.storage_class} from day {step.days} to {until} is less than the {least} days that it bills"


def raw_days_of(contracts: Iterable[Contract]) -> int | None:
    """How long landed bytes of those contracts are kept together: the longest that one asks for, None for ever. Their
    files lie side by side by their content's hash, and one may belong to several.
    """
    asked = [one.retention.raw_days for one in contracts]
    stated = [days for days in asked if days is not None]
    return max(stated) if stated and len(stated) == len(asked) else None


def raw_ageing(raw_days: int | None = None) -> tuple[Ageing, ...]:
    """Of the raw bucket: what arrives in landing/, the lists of it in manifests/, and what is kept in raw/ for
    `raw_days`, or for ever.

    Bytes kept for less time than a class bills skip that class.
    """
    cold: tuple[Step, ...] = (_TIERED, Step("GLACIER", GLACIER_DAYS), Step("DEEP_ARCHIVE", DEEP_ARCHIVE_DAYS))
    if raw_days is not None:
        cold = tuple(step for step in cold if step.days + LEAST_DAYS[step.storage_class] <= raw_days)
    replaced = (Step("GLACIER", 30),)
    return checked(
        [
            Ageing("landing", "landing/", expire=LANDING_DAYS, noncurrent_expire=LANDING_DAYS),
            Ageing("manifests", "manifests/", expire=LANDING_DAYS, noncurrent_expire=LANDING_DAYS),
            Ageing("raw", "raw/", cold, raw_days, replaced, 180),
            Ageing("archived", "archived/", _SET_ASIDE, None, replaced, 180),
        ]
    )


def curated_ageing() -> tuple[Ageing, ...]:
    """Of the curated bucket: tables under lake/, which only Iceberg may remove files from, and archived/ beside it.

    Noncurrent are the files that Iceberg has removed: no snapshot refers to them any more.
    """
    tables, replaced = (_TIERED, Step("GLACIER_IR", GLACIER_DAYS)), (Step("GLACIER_IR", 30),)
    return checked(
        [
            Ageing("lake", "lake/", tables, None, replaced, 120, live=True),
            Ageing("archived", "archived/", _SET_ASIDE, None, replaced, 120),
        ]
    )


def logs_ageing(*, production: bool) -> tuple[Ageing, ...]:
    """Of access logs: a year in production, else a month."""
    if not production:
        return checked([Ageing("all", expire=30, noncurrent_expire=7)])
    steps = (Step("STANDARD_IA", 30), Step("GLACIER", GLACIER_DAYS))
    return checked([Ageing("all", "", steps, 365, (Step("STANDARD_IA", 30),), 90)])


def scripts_ageing() -> tuple[Ageing, ...]:
    """Of releases: one in use is read at any job's start, however old."""
    steps = (_TIERED, Step("GLACIER_IR", GLACIER_DAYS))
    return checked([Ageing("all", "", steps, None, (Step("GLACIER_IR", 30),), 120, live=True)])


def results_ageing() -> tuple[Ageing, ...]:
    """Of query results, which can be had again, and are copies of data that may have to be forgotten."""
    return checked([Ageing("all", expire=30, noncurrent_expire=1)])
