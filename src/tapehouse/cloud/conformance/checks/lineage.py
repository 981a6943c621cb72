"""Lineage: a table that forgets on a day it is told, and that every worker may write."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.conformance.checks.events import fed_functions, may_write
from tapehouse.cloud.conformance.registry import absent, check, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import JOB, TABLE, role_of


@check("C26")
def every_worker_may_write_lineage(stacks: Stacks) -> Iterator[str]:
    """Items are found by dataset and content; what stands in them is shown by the handlers' tests."""
    tables = stacks.of(TABLE)
    yield from absent(tables, "lineage table")
    workers = [*fed_functions(stacks), *stacks.of(JOB)]
    yield from absent(workers, "function that is fed, or job")
    for worker in workers:
        role = role_of(stacks, worker)
        if not any(role and may_write(stacks, role, table) for table in tables):
            yield f"{worker}: may not write a lineage item"
    for table in tables:
        kinds = {one.get("KeyType") for one in table.get("KeySchema", [])}
        if kinds != {"HASH", "RANGE"}:
            yield f"{table}: its key is not of two parts, so contents of two datasets share an item"


@check("C27")
def lineage_expires(stacks: Stacks) -> Iterator[str]:
    """That the attribute is written, in epoch seconds, is shown by the handlers' tests."""

    def judge(table: Resource) -> str | None:
        told = table.get("TimeToLiveSpecification", {})
        if told.get("Enabled") is not True or not told.get("AttributeName"):
            return "no time to live"
        restorable = table.get("PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled") is True
        return None if restorable else "no point-in-time recovery"

    yield from each(stacks.of(TABLE), "lineage table", judge)
