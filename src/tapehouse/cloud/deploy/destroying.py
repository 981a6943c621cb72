"""Take a deployment down: its stacks in reverse order, then the bucket of its assets."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tapehouse.cloud.deploy.assembly import Assembly, StackArtifact
from tapehouse.cloud.deploy.assets import empty_and_remove
from tapehouse.cloud.deploy.errors import ProtectedError, StackFailedError
from tapehouse.cloud.deploy.stacks import Operation, Stack, find, resources
from tapehouse.cloud.deploy.target import Event, Progress, Target, silent, told

STACK_SECONDS_MAX = 3600.0
PROTECTED_ENVIRONMENT = "prod"


@dataclass(frozen=True, slots=True)
class Retained:
    """Something that outlives its stack, and why."""

    stack: str
    resource: str
    type: str
    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Destruction:
    """What was done. `stacks` are those that were removed (none of those that were not there); `buckets` likewise;
    `objects` counts what was in the buckets of assets."""

    account: str
    region: str
    stacks: tuple[str, ...]
    buckets: tuple[str, ...]
    objects: int
    retained: tuple[Retained, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@told
def destroy(
    assembly: Path,
    *,
    session: Any = None,
    endpoint: str | None = None,
    region: str | None = None,
    force: bool = False,
    progress: Progress = silent,
    stack_seconds_max: float = STACK_SECONDS_MAX,
) -> Destruction:
    """Remove every stack of the assembly and its assets. What is gone already is no error.

    ProtectedError, before anything is touched, when a stack has termination protection or is tagged as production and
    `force` is not given: with it the protection is lifted. StackFailedError names what could not be removed.
    """
    started = time.monotonic()
    read = Assembly.read(assembly)
    target = Target.of(session=session, endpoint=endpoint, region=region)
    existing = [(artifact, found) for artifact in reversed(read.stacks) if (found := find(target, artifact.name))]
    if not force:
        _refuse_protected([found for _, found in existing])
    retained: list[Retained] = []
    for artifact, found in existing:
        retained += _remove(target, artifact, found, progress, stack_seconds_max)
    removed, objects = [], 0
    for name in map(target.fill, read.buckets()):
        count = empty_and_remove(target, name)
        objects += count
        removed.append(name)
        progress(Event("", name, "removed", "bucket", f"{count} objects and versions"))
    return Destruction(
        account=target.account,
        region=target.region,
        stacks=tuple(found.name for _, found in existing),
        buckets=tuple(removed),
        objects=objects,
        retained=tuple(retained),
        seconds=round(time.monotonic() - started, 1),
    )


def _refuse_protected(stacks: list[Stack]) -> None:
    protected = [stack.name for stack in stacks if stack.protected]
    production = [stack.name for stack in stacks if _environment(stack) == PROTECTED_ENVIRONMENT]
    if protected:
        raise ProtectedError(
            f"termination protection is on for {', '.join(protected)}: nothing was removed",
            fix="ask again with --force, if this deployment is really to go",
        )
    if production:
        raise ProtectedError(
            f"{', '.join(production)}: tagged as production, so nothing was removed",
            fix="ask again with --force, if this deployment is really to go",
        )


def _environment(stack: Stack) -> str:
    """Of the tag `<environment>-<suffix>`."""
    return stack.tags.get("Environment", "").partition("-")[0]


def _remove(
    target: Target, artifact: StackArtifact, found: Stack, progress: Progress, seconds_max: float
) -> list[Retained]:
    cloudformation = target.client("cloudformation")
    if found.busy:
        found = Operation(target, found.name, progress, total=0, seconds_max=seconds_max).wait(found.id)
    if found.protected:
        cloudformation.update_termination_protection(StackName=found.name, EnableTerminationProtection=False)
    total = len(resources(target, found.id))
    operation = Operation(target, found.id, progress, total=total, seconds_max=seconds_max)
    cloudformation.delete_stack(StackName=found.id)
    ended = operation.wait(found.id)
    if ended.status != "DELETE_COMPLETE":
        raise StackFailedError(artifact.name, ended.status, tuple(operation.failures), ended.reason)
    return [
        Retained(
            artifact.name,
            event["LogicalResourceId"],
            event["ResourceType"],
            event.get("PhysicalResourceId", ""),
            "its DeletionPolicy keeps it when the stack goes",
        )
        for event in operation.skipped
    ]
