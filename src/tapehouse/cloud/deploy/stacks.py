"""Stacks as CloudFormation has them: their state, and what happens to them as it happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tapehouse.cloud.deploy.errors import DeploymentError, ResourceFailure, StackTimeoutError
from tapehouse.cloud.deploy.target import Event, Progress, Target, refusal

STACK = "AWS::CloudFormation::Stack"
POLL_SECONDS = 5.0
# Over an endpoint of one's own nobody is throttled.
POLL_SECONDS_ENDPOINT = 0.2
# What follows from another failure, in AWS's words.
_CONSEQUENCES = ("cancelled", "canceled")


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that exists."""

    name: str
    id: str
    status: str
    reason: str
    outputs: dict[str, str]
    tags: dict[str, str]
    protected: bool

    @property
    def busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


def find(target: Target, name: str) -> Stack | None:
    """The stack of that name or id; None where there is none. One that was deleted is found by its id only."""
    try:
        found = target.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise refusal(error, name) from None
    return Stack(
        name=found["StackName"],
        id=found["StackId"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        outputs={output["OutputKey"]: output.get("OutputValue", "") for output in found.get("Outputs", [])},
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
        protected=bool(found.get("EnableTerminationProtection", False)),
    )


def resources(target: Target, name: str) -> list[dict[str, Any]]:
    """Summaries of the stack's resources; `name` may be its id."""
    pages = target.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    return [resource for page in pages for resource in page["StackResourceSummaries"]]


def events(target: Target, name: str) -> list[dict[str, Any]]:
    """All of them, oldest first."""
    pages = target.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=name)
    return [event for page in pages for event in page["StackEvents"]][::-1]


def poll_seconds(target: Target) -> float:
    return POLL_SECONDS_ENDPOINT if target.endpoint else POLL_SECONDS


class Operation:
    """What is done to one stack, from where `Operation` is made: make it before the request that starts the work.

    `total` counts the resources that will be touched. `seconds_max` bounds the whole.
    """

    def __init__(self, target: Target, stack: str, progress: Progress, *, total: int, seconds_max: float) -> None:
        self._target = target
        self._stack = stack
        self._progress = progress
        self._total = total
        self._seconds_max = seconds_max
        self._deadline = time.monotonic() + seconds_max
        existing = find(target, stack)
        self._seen = {event["EventId"] for event in events(target, stack)} if existing is not None else set()
        self._states: dict[str, str] = {}
        self._begun = existing is not None and existing.busy
        self.failures: list[ResourceFailure] = []
        self.skipped: list[dict[str, Any]] = []

    def wait(self, stack_id: str) -> Stack:
        """The stack when nothing is going on any more; its resources' events go to the progress callback.

        StackTimeoutError after `seconds_max`; the work goes on in AWS.
        """
        while True:
            stack = find(self._target, stack_id)
            if stack is None:
                raise DeploymentError("the stack is gone while it was waited for", stack=self._stack, fix="ask again")
            for event in self._new_events(stack_id):
                self._take(event)
            # Right after a request, the state may still be the one before it.
            if self._begun and not stack.busy:
                return stack
            if time.monotonic() > self._deadline:
                waiting = tuple(name for name, state in self._states.items() if state.endswith("_IN_PROGRESS"))
                raise StackTimeoutError(
                    f"still {stack.status} after {self._seconds_max:,.0f} s, at: {', '.join(waiting) or 'unknown'}",
                    stack=self._stack,
                    waiting=waiting,
                    fix="ask again, which waits for what is going on, or cancel the update in CloudFormation",
                )
            time.sleep(poll_seconds(self._target))

    def _new_events(self, stack_id: str) -> Iterator[dict[str, Any]]:
        for event in events(self._target, stack_id):
            if event["EventId"] not in self._seen:
                self._seen.add(event["EventId"])
                yield event

    def _take(self, event: dict[str, Any]) -> None:
        name, kind, status = event["LogicalResourceId"], event["ResourceType"], event["ResourceStatus"]
        reason = event.get("ResourceStatusReason", "")
        own = kind == STACK and event.get("PhysicalResourceId") == event["StackId"]
        self._begun = self._begun or own
        if not own:
            self._states[name] = status
            if status.endswith("_FAILED") and not any(word in reason.lower() for word in _CONSEQUENCES):
                self.failures.append(ResourceFailure(name, kind, reason))
            if status == "DELETE_SKIPPED":
                self.skipped.append(event)
        done = sum(not state.endswith("_IN_PROGRESS") for state in self._states.values())
        self._progress(Event(self._stack, name, status, kind, reason, min(done, self._total), self._total))
