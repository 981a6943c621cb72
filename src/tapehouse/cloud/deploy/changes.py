"""Change sets: what CloudFormation would do, told before it does it."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tapehouse.cloud.deploy.assembly import StackArtifact
from tapehouse.cloud.deploy.errors import DeploymentError, StackTimeoutError, way_out
from tapehouse.cloud.deploy.stacks import Stack, find, poll_seconds
from tapehouse.cloud.deploy.target import Target, refusal

# Longer ones go by address.
TEMPLATE_BODY_BYTES_MAX = 51_200
CHANGE_SET_SECONDS_MAX = 300.0
# Of a stack that has change sets, and nothing else yet.
REVIEW = "REVIEW_IN_PROGRESS"
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed", "no changes")


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """A property (dotted path) of a resource that would change. `replaces` is Never, Conditionally or Always; `before`
    and `after` are AWS's texts, empty where it does not tell them."""

    path: str
    replaces: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A resource that would be added (Add), changed (Modify), removed (Remove), or of which that is not known yet
    (Dynamic). `replacement` is True, False, Conditional or empty."""

    action: str
    resource: str
    type: str
    replacement: str
    properties: tuple[PropertyChange, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that was made. `changes` is empty when the stack is as the template wants it."""

    id: str
    stack_id: str
    creates: bool
    changes: tuple[Change, ...]


def create_change_set(target: Target, stack: StackArtifact, existing: Stack | None) -> ChangeSet:
    """Ask what would change; the template's assets have to be published. DeploymentError tells why AWS refuses it."""
    cloudformation = target.client("cloudformation")
    creates = existing is None or existing.status == REVIEW
    request = {
        "StackName": stack.name,
        "ChangeSetName": f"tapehouse-{uuid.uuid4().hex}",
        "ChangeSetType": "CREATE" if creates else "UPDATE",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(stack.tags.items())],
        "Parameters": _parameters(stack.parameters),
        **template_argument(target, stack),
    }
    try:
        made = cloudformation.create_change_set(**request)
    except ClientError as error:
        raise refusal(error, stack.name) from None
    try:
        changes = _wait(target, stack.name, made["Id"])
    except (DeploymentError, ClientError, BotoCoreError):
        # What ended the waiting is what is told, though it may forbid the removal as well.
        with suppress(DeploymentError, ClientError, BotoCoreError):
            discard(target, made, creates=creates)
        raise
    if changes is None:
        discard(target, made, creates=False)
        return ChangeSet("", made["StackId"], creates, ())
    return ChangeSet(made["Id"], made["StackId"], creates, changes)


def template_argument(target: Target, stack: StackArtifact) -> dict[str, str]:
    """How the template is handed over: itself, or its address when it is long."""
    body = stack.body()
    asset = stack.template_asset()
    if len(body.encode()) <= TEMPLATE_BODY_BYTES_MAX:
        return {"TemplateBody": body}
    if asset is None:
        raise DeploymentError(
            f"the template has more than {TEMPLATE_BODY_BYTES_MAX:,} bytes and is no asset of the assembly",
            stack=stack.name,
            fix="write the assembly with `tapehouse cloud synth`",
        )
    return {"TemplateURL": target.object_url(target.fill(asset.bucket), target.fill(asset.key))}


def discard(target: Target, made: dict[str, Any], *, creates: bool) -> None:
    """Forget a change set, and with it the empty stack that it made when it was to create one. `made` is AWS's answer
    to the request for it: a stack of that name may be another by now, or one that others have filled.
    """
    cloudformation = target.client("cloudformation")
    cloudformation.delete_change_set(StackName=made["StackId"], ChangeSetName=made["Id"])
    if not creates:
        return
    there = find(target, made["StackId"])
    if there is not None and there.status == REVIEW:
        cloudformation.delete_stack(StackName=there.id)


def _parameters(given: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(given.items())]


def _wait(target: Target, stack: str, change_set: str) -> tuple[Change, ...] | None:
    """The changes; None when there are none."""
    deadline = time.monotonic() + CHANGE_SET_SECONDS_MAX
    while True:
        found = _describe(target, stack, change_set, "")
        if found["Status"] == "CREATE_COMPLETE":
            return _all_changes(target, stack, change_set, found)
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "")
            if any(text in reason for text in _NO_CHANGES):
                return None
            raise DeploymentError(f"the change set failed: {reason}", stack=stack, fix=way_out(reason))
        if time.monotonic() > deadline:
            raise StackTimeoutError(
                f"the change set is still {found['Status']} after {CHANGE_SET_SECONDS_MAX:,.0f} s",
                stack=stack,
                waiting=(),
                fix="deploy again; if it stays so, look at the stack's change sets in CloudFormation",
            )
        time.sleep(poll_seconds(target))


def _all_changes(target: Target, stack: str, change_set: str, first: dict[str, Any]) -> tuple[Change, ...]:
    found = list(first.get("Changes", []))
    token = first.get("NextToken")
    while token:
        page = _describe(target, stack, change_set, token)
        found += page.get("Changes", [])
        token = page.get("NextToken")
    return tuple(_change(one["ResourceChange"]) for one in found if "ResourceChange" in one)


def _describe(target: Target, stack: str, change_set: str, token: str) -> dict[str, Any]:
    request = {"StackName": stack, "ChangeSetName": change_set, "IncludePropertyValues": True}
    answer = target.client("cloudformation").describe_change_set(**request, **({"NextToken": token} if token else {}))
    return dict(answer)


def _change(found: dict[str, Any]) -> Change:
    properties: dict[str, PropertyChange] = {}
    for detail in found.get("Details", []):
        place = detail["Target"]
        path = place.get("Path", "").strip("/").replace("/", ".") or place.get("Name") or place["Attribute"]
        replaces = place.get("RequiresRecreation", "Never")
        properties[path] = PropertyChange(path, replaces, place.get("BeforeValue", ""), place.get("AfterValue", ""))
    return Change(
        action=found["Action"],
        resource=found["LogicalResourceId"],
        type=found["ResourceType"],
        replacement=found.get("Replacement", ""),
        properties=tuple(properties.values()),
    )
