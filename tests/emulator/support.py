"""Small templates, deployed and waited for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from emulator import Emulator

T = TypeVar("T")
Template = dict[str, Any]


def eventually(look: Callable[[], T | None], *, seconds: float = 20.0, every: float = 0.1) -> T:
    """The first answer of `look` that is true; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(every)
    raise AssertionError(f"nothing within {seconds} s")


class Stacks:
    """Stacks of one test."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._names: list[str] = []

    def deploy(self, name: str, resources: Template, outputs: Template | None = None) -> dict[str, str]:
        """Create a stack, or update it when this object made it; its outputs. AssertionError when it fails."""
        cloudformation = self.emulator.client("cloudformation")
        body = {"Resources": resources, "Outputs": {key: {"Value": value} for key, value in (outputs or {}).items()}}
        request = {"StackName": name, "TemplateBody": json.dumps(body), "Capabilities": ["CAPABILITY_NAMED_IAM"]}
        if name in self._names:
            cloudformation.update_stack(**request)
        else:
            cloudformation.create_stack(**request)
            self._names.append(name)
        stack = self._wait(name)
        if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
            failed = [
                f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}"
                for e in events
                if "FAILED" in e["ResourceStatus"]
            ]
            raise AssertionError(f"{name} is {stack['StackStatus']}: {failed}")
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def delete(self) -> None:
        cloudformation = self.emulator.client("cloudformation")
        for name in reversed(self._names):
            cloudformation.delete_stack(StackName=name)
        for name in self._names:
            eventually(partial(self._gone, name))

    def _gone(self, name: str) -> bool:
        cloudformation = self.emulator.client("cloudformation")
        statuses = [s["StackStatus"] for s in cloudformation.list_stacks()["StackSummaries"] if s["StackName"] == name]
        assert "DELETE_FAILED" not in statuses, cloudformation.describe_stack_events(StackName=name)["StackEvents"][:3]
        return all(status == "DELETE_COMPLETE" for status in statuses)

    def _wait(self, name: str) -> Any:
        def settled() -> Any:
            stack = self.emulator.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

        return eventually(settled, seconds=30)


def role(service: str, *statements: Template) -> Template:
    """A role for a service, allowed what the statements say."""
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [{"PolicyName": "own", "PolicyDocument": policy}] if statements else [],
        },
    }


def allow(*actions: str, resource: Any = "*") -> Template:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def function(code: str, role: str = "Role", **properties: Any) -> Template:
    """A function with its code in the template; `role` is the logical id of its role."""
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.14",
            "Handler": "index.handler",
            "Timeout": 20,
            "Code": {"ZipFile": code},
            "Role": {"Fn::GetAtt": [role, "Arn"]},
            **properties,
        },
    }


def arn(logical_id: str, attribute: str = "Arn") -> Template:
    return {"Fn::GetAtt": [logical_id, attribute]}


def ref(logical_id: str) -> Template:
    return {"Ref": logical_id}
