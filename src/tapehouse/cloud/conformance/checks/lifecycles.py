"""Lifecycle rules of buckets, read as S3 applies them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any

from tapehouse.cloud.conformance.registry import absent, check, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import BUCKET, stage

Rule = Mapping[str, Any]
# Down S3's waterfall. https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
_RANK = {
    "STANDARD_IA": 1,
    "INTELLIGENT_TIERING": 2,
    "ONEZONE_IA": 3,
    "GLACIER_IR": 4,
    "GLACIER": 5,
    "DEEP_ARCHIVE": 6,
}
_ENTRY_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30}
_STAY_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30, "GLACIER_IR": 90, "GLACIER": 90, "DEEP_ARCHIVE": 180}
_SLOW = ("GLACIER", "DEEP_ARCHIVE")
GLACIER_DAYS = 90


def rules(bucket: Resource) -> list[Rule]:
    """Enabled lifecycle rules."""
    return [one for one in bucket.get("LifecycleConfiguration.Rules", []) if one.get("Status") == "Enabled"]


def prefix(rule: Rule) -> str:
    """What the rule applies to."""
    return str(rule.get("Prefix") or (rule.get("Filter") or {}).get("Prefix") or "")


def _whole(rule: Rule) -> bool:
    """Whether the rule is about every object: no prefix, tag or size."""
    limits = ("TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "Filter")
    return not prefix(rule) and not any(rule.get(one) for one in limits)


def _steps(rule: Rule, key: str = "Transitions", days: str = "TransitionInDays") -> list[tuple[int, str]]:
    found = rule.get(key) or ([rule[key[:-1]]] if key[:-1] in rule else [])
    return sorted((int(one[days]), str(one["StorageClass"])) for one in found if days in one)


def _noncurrent(rule: Rule) -> list[tuple[int, str]]:
    return _steps(rule, "NoncurrentVersionTransitions")


def _noncurrent_end(rule: Rule) -> int | None:
    newer = (rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays")
    found = newer or rule.get("NoncurrentVersionExpirationInDays")
    return None if found is None else int(found)


def _end(rule: Rule) -> int | None:
    found = rule.get("ExpirationInDays")
    return None if found is None else int(found)


def _short_lived(bucket: Resource) -> bool:
    """Whether every object is gone before it could go to Glacier."""
    return any(_whole(rule) and (_end(rule) or GLACIER_DAYS + 1) <= GLACIER_DAYS for rule in rules(bucket))


@check("C07")
def glacier_at_90_days_and_tables_stay_readable(stacks: Stacks) -> Iterator[str]:
    """Tables and releases are read without notice, so theirs is GLACIER_IR; what is gone by then needs none."""
    live = {one.name for name in ("curated", "scripts") for one in stage(stacks, name)}

    def judge(bucket: Resource) -> str | None:
        classes = {kind for rule in rules(bucket) for days, kind in _steps(rule) if days == GLACIER_DAYS}
        wanted = "GLACIER_IR" if bucket.name in live else "GLACIER"
        if wanted not in classes and not _short_lived(bucket):
            return f"no transition to {wanted} at {GLACIER_DAYS} days"
        slow = [prefix(one) for one in rules(bucket) if any(kind in _SLOW for _, kind in _steps(one))]
        hidden = [one for one in slow if bucket.name in live and "archive" not in one]
        return f"what is read at any time goes to a class that takes hours, under {hidden[0]!r}" if hidden else None

    yield from absent(stage(stacks, "curated"), "bucket that holds tables")
    yield from each(stacks.of(BUCKET), "bucket", judge)


@check("C08")
def intelligent_tiering_is_configured(stacks: Stacks) -> Iterator[str]:
    """A tiering configuration acts on objects of the class alone, so objects must also get there."""
    found = [one for one in stacks.of(BUCKET) if _tierings(one)]
    raw = stage(stacks, "raw")
    yield from absent(raw, "bucket for raw")
    for bucket in raw:
        if not _tierings(bucket):
            yield f"{bucket}: no enabled Intelligent-Tiering configuration"
    live = {one.name for one in stage(stacks, "curated")}
    for bucket in found:
        moved = [
            prefix(rule) for rule in rules(bucket) if any(kind == "INTELLIGENT_TIERING" for _, kind in _steps(rule))
        ]
        for tiering in _tierings(bucket):
            under = str(tiering.get("Prefix") or "")
            if not any(one.startswith(under) or under.startswith(one) for one in moved):
                yield f"{bucket}: Intelligent-Tiering under {under!r}, where no rule moves objects to that class"
            if bucket.name in live and "archive" not in under:
                yield f"{bucket}: tables under {under!r} could move to a tier that takes hours to read"


def _tierings(bucket: Resource) -> list[Rule]:
    found = bucket.get("IntelligentTieringConfigurations", [])
    return [one for one in found if one.get("Status") == "Enabled" and one.get("Tierings")]


@check("C09")
def deep_archive_is_for_raw_and_archived_prefixes(stacks: Stacks) -> Iterator[str]:
    raw = {one.name for one in stage(stacks, "raw")}
    deep = [
        (bucket, prefix(rule))
        for bucket in stacks.of(BUCKET)
        for rule in rules(bucket)
        if any(kind == "DEEP_ARCHIVE" for _, kind in _steps(rule))
    ]
    yield from absent([one for one, _ in deep if one.name in raw], "transition of raw data to DEEP_ARCHIVE")
    for bucket, under in deep:
        if bucket.name not in raw and "archive" not in under:
            yield f"{bucket}: DEEP_ARCHIVE under {under!r}, which is neither raw nor archived"


@check("C10")
def unfinished_uploads_are_given_up(stacks: Stacks) -> Iterator[str]:
    def judge(bucket: Resource) -> str | None:
        days = [
            int((one.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation", 999))
            for one in rules(bucket)
            if _whole(one)
        ]
        return None if days and min(days) <= 7 else "no rule for the whole bucket aborts uploads within 7 days"

    yield from each(stacks.of(BUCKET), "bucket", judge)


@check("C11")
def replaced_versions_move_and_go(stacks: Stacks) -> Iterator[str]:
    """Versions that go within 30 days have no class to move to: S3's first takes none younger."""

    def judge(bucket: Resource) -> str | None:
        ends = [(rule, _noncurrent_end(rule)) for rule in rules(bucket)]
        kept = [(rule, end) for rule, end in ends if end is not None]
        if not kept:
            return "noncurrent versions never expire"
        still = [rule for rule, end in kept if end > 30 and not _noncurrent(rule)]
        return f"noncurrent versions under {prefix(still[0])!r} expire without a transition" if still else None

    yield from each(stacks.of(BUCKET), "bucket", judge)


@check("C12")
def rules_descend_and_do_not_conflict(stacks: Stacks) -> Iterator[str]:
    def judge(bucket: Resource) -> str | None:
        found = rules(bucket)
        wrong = [one for rule in found for one in _descent(rule)]
        for one, other in combinations(found, 2):
            wrong += _conflict(one, other)
        return "; ".join(wrong) or (None if found else "no lifecycle rules")

    yield from each(stacks.of(BUCKET), "bucket", judge)


def _descent(rule: Rule) -> Iterator[str]:
    for steps, end, which in (
        (_steps(rule), _end(rule), ""),
        (_noncurrent(rule), _noncurrent_end(rule), "noncurrent "),
    ):
        for days, kind in steps:
            if days < _ENTRY_DAYS.get(kind, 0):
                yield f"{which}{kind} at {days} days, which takes none before {_ENTRY_DAYS[kind]}"
        for (days, kind), (later, next_kind) in pairwise(steps):
            if _RANK.get(next_kind, 0) <= _RANK.get(kind, 9):
                yield f"{which}{kind} at {days} days does not lead to {next_kind} at {later}"
            elif later - days < _STAY_DAYS.get(kind, 0) and kind.endswith("_IA"):
                yield f"{which}{kind} for {later - days} days, less than {_STAY_DAYS[kind]}"
        if steps and end is not None and end <= steps[-1][0]:
            yield f"{which}expiry at {end} days, before {steps[-1][1]} at {steps[-1][0]}"


def _conflict(one: Rule, other: Rule) -> Iterator[str]:
    """Two rules over the same objects that say different days for the same thing."""
    if not (prefix(one).startswith(prefix(other)) or prefix(other).startswith(prefix(one))):
        return
    where = f"under {max(prefix(one), prefix(other), key=len)!r}"
    for first, second in ((_steps(one), _steps(other)), (_noncurrent(one), _noncurrent(other))):
        if first and second and first != second:
            yield f"two rules transition objects {where} differently"
    for ends in ((_end(one), _end(other)), (_noncurrent_end(one), _noncurrent_end(other))):
        if None not in ends and ends[0] != ends[1]:
            yield f"two rules expire objects {where} differently"


@check("B33")
def every_bucket_has_a_complete_lifecycle(stacks: Stacks) -> Iterator[str]:
    """Complete: current objects move or go, replaced versions go, unfinished uploads go."""

    def judge(bucket: Resource) -> str | None:
        found = rules(bucket)
        lacks = [
            what
            for what, there in (
                ("transitions or expiry of objects", any(_steps(one) or _end(one) for one in found)),
                ("expiry of replaced versions", any(_noncurrent_end(one) for one in found)),
                ("abort of unfinished uploads", any(one.get("AbortIncompleteMultipartUpload") for one in found)),
            )
            if not there
        ]
        return f"lifecycle without {', '.join(lacks)}" if lacks else None

    yield from each(stacks.of(BUCKET), "bucket", judge)
