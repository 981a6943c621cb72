"""Deploy an assembly: assets first, then each stack by a change set, in the order of their dependencies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tapehouse.cloud.deploy.assembly import Assembly, StackArtifact
from tapehouse.cloud.deploy.assets import ensure_bucket, publish
from tapehouse.cloud.deploy.changes import Change, ChangeSet, create_change_set
from tapehouse.cloud.deploy.errors import AssemblyError, DeploymentError, StackFailedError
from tapehouse.cloud.deploy.stacks import STACK, Operation, Stack, find
from tapehouse.cloud.deploy.target import Event, Progress, Target, silent, told

STACK_SECONDS_MAX = 3600.0
# A first creation that failed, or a removal that did, leaves a stack that can only be deleted.
_DEAD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
_GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


@dataclass(frozen=True, slots=True)
class StackResult:
    """A stack after a deployment. `action` is created, updated or unchanged; `seconds` includes its assets."""

    name: str
    id: str
    action: str
    changes: tuple[Change, ...]
    outputs: dict[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was done. `assets` counts what was uploaded."""

    account: str
    region: str
    stacks: tuple[StackResult, ...]
    assets: int
    seconds: float

    @property
    def changed(self) -> bool:
        return any(stack.action != "unchanged" for stack in self.stacks)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@told
def deploy(
    assembly: Path,
    *,
    session: Any = None,
    endpoint: str | None = None,
    region: str | None = None,
    parameters: Mapping[str, str] | None = None,
    progress: Progress = silent,
    stack_seconds_max: float = STACK_SECONDS_MAX,
) -> Deployment:
    """Bring every stack of the assembly into being, or up to date. Doing it again without a change does nothing.

    `session` is boto3's (default: from the environment), `endpoint` an address that speaks like AWS, `parameters` go to
    the stacks whose templates have them. AssemblyError when the folder is at fault; StackFailedError names the
    resources that failed; StackTimeoutError when a stack takes longer than `stack_seconds_max`; DeploymentError for the
    rest.
    """
    started = time.monotonic()
    read = Assembly.read(assembly)
    target = Target.of(session=session, endpoint=endpoint, region=region)
    for stack in read.stacks:
        check_place(stack, target)
    for bucket in read.buckets():
        name = target.fill(bucket)
        made = ensure_bucket(target, name, read.stacks[0].tags)
        progress(Event("", name, "made" if made else "there", "bucket"))
    results, uploaded = [], 0
    for stack in read.stacks:
        stack_started = time.monotonic()
        uploaded += publish(target, stack, progress)
        result = _deploy_stack(target, with_parameters(stack, parameters or {}), progress, stack_seconds_max)
        results.append(replace(result, seconds=round(time.monotonic() - stack_started, 1)))
    seconds = round(time.monotonic() - started, 1)
    return Deployment(target.account, target.region, tuple(results), uploaded, seconds)


def check_place(stack: StackArtifact, target: Target) -> None:
    """AssemblyError when the stack is made for another account or region."""
    for what, wanted, found in (("account", stack.account, target.account), ("region", stack.region, target.region)):
        if wanted not in ("", found):
            raise AssemblyError(
                f"stack {stack.name} is made for {what} {wanted}, and the credentials are of {found}",
                fix=f"use credentials of {wanted}" if what == "account" else f"choose region {wanted}",
            )


def with_parameters(stack: StackArtifact, given: Mapping[str, str]) -> StackArtifact:
    """The stack with those of the values that its template has parameters for."""
    import json

    known = json.loads(stack.body()).get("Parameters", {})
    chosen = {name: value for name, value in given.items() if name in known}
    return replace(stack, parameters={**stack.parameters, **chosen})


def _deploy_stack(target: Target, stack: StackArtifact, progress: Progress, seconds_max: float) -> StackResult:
    existing = _usable(target, stack, progress, seconds_max)
    change_set = create_change_set(target, stack, existing)
    if not change_set.changes and not change_set.id:
        _protect(target, stack, existing)
        outputs = existing.outputs if existing is not None else {}
        progress(Event(stack.name, stack.name, "unchanged", STACK))
        return StackResult(stack.name, change_set.stack_id, "unchanged", (), outputs, 0.0)
    done = _execute(target, stack, change_set, progress, seconds_max)
    _protect(target, stack, done)
    action = "created" if change_set.creates else "updated"
    return StackResult(stack.name, done.id, action, change_set.changes, done.outputs, 0.0)


def _usable(target: Target, stack: StackArtifact, progress: Progress, seconds_max: float) -> Stack | None:
    """The existing stack, after what was going on, and without what a failed first attempt left."""
    existing = find(target, stack.name)
    if existing is not None and existing.busy:
        existing = Operation(target, stack.name, progress, total=0, seconds_max=seconds_max).wait(existing.id)
        existing = None if existing.status == "DELETE_COMPLETE" else existing
    if existing is None or existing.status not in (*_DEAD, "UPDATE_ROLLBACK_FAILED"):
        return existing
    if existing.status == "UPDATE_ROLLBACK_FAILED":
        raise DeploymentError(
            f"an earlier update could not be rolled back: {existing.reason}",
            stack=stack.name,
            fix="mend what the reason names, then `aws cloudformation continue-update-rollback`, then deploy again",
        )
    if stack.protected:
        raise DeploymentError(
            f"an earlier attempt ended as {existing.status}, and what holds data may be left of it",
            stack=stack.name,
            fix="look at it with `aws cloudformation describe-stack-resources`, remove the stack and what it kept, or "
            "choose another suffix",
        )
    progress(Event(stack.name, stack.name, "removing what a failed attempt left", STACK, existing.reason))
    operation = Operation(target, stack.name, progress, total=0, seconds_max=seconds_max)
    target.client("cloudformation").delete_stack(StackName=existing.id)
    ended = operation.wait(existing.id)
    if ended.status != "DELETE_COMPLETE":
        raise StackFailedError(stack.name, ended.status, tuple(operation.failures), ended.reason)
    return None


def _execute(
    target: Target, stack: StackArtifact, change_set: ChangeSet, progress: Progress, seconds_max: float
) -> Stack:
    total = len(change_set.changes)
    operation = Operation(target, change_set.stack_id, progress, total=total, seconds_max=seconds_max)
    target.client("cloudformation").execute_change_set(
        # What a first attempt made is removed with it, data stores that are kept otherwise included.
        StackName=stack.name,
        ChangeSetName=change_set.id,
        RetainExceptOnCreate=True,
    )
    ended = operation.wait(change_set.stack_id)
    if ended.status not in _GOOD:
        raise StackFailedError(stack.name, ended.status, tuple(operation.failures), ended.reason)
    return ended


def _protect(target: Target, stack: StackArtifact, existing: Stack | None) -> None:
    """Termination protection as the assembly has it; it is turned on here, and off only by a forced destroy."""
    if stack.protected and existing is not None and not existing.protected:
        target.client("cloudformation").update_termination_protection(
            StackName=stack.name, EnableTerminationProtection=True
        )
