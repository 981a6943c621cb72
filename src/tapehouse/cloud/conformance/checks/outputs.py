"""Outputs: what an operator and the end-to-end test read, and that nothing else depends on them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Stacks
from tapehouse.cloud.conformance.uses import BUCKET, FUNCTION, JOB, KEY, MACHINE, QUEUE, STREAM, TABLE

TOLD = (BUCKET, KEY, STREAM, QUEUE, TABLE, FUNCTION, JOB, MACHINE, "AWS::CloudWatch::Dashboard")


@check("C46")
def every_component_is_an_output(stacks: Stacks) -> Iterator[str]:
    found = stacks.of(*TOLD)
    yield from absent(found, "bucket, key, stream, queue, table, function, job, state machine or dashboard")
    values = {str(value.get("Value")) for _, _, _, value in stacks.outputs()}
    for one in found:
        if not values & {one.name, one.ref, one.arn}:
            yield f"{one}: no output tells it"


@check("L14")
def outputs_are_exported_and_imported_by_nobody(stacks: Stacks) -> Iterator[str]:
    yield from absent(stacks.outputs(), "output")
    names: set[str] = set()
    for stack, name, _, value in stacks.outputs():
        exported = str((value.get("Export") or {}).get("Name", ""))
        if stacks.facts.label not in exported:
            yield f"{stack}.{name}: its export name {exported!r} does not carry {stacks.facts.label}"
        if exported in names:
            yield f"{stack}.{name}: {exported!r} is exported twice"
        names.add(exported)
    for stack, template in stacks.templates.items():
        if "Fn::ImportValue" in json.dumps(template):
            yield f"{stack}: imports a value, and so locks the stack that exports it"
