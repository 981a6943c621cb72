"""Limits of CloudFormation and Lambda that more contracts run into, told before anything is written."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnResource, Stack
from aws_cdk import aws_lambda as lambda_

from tapehouse.errors import UsageError

RESOURCES_MAX = 500
# Names and values of all variables together: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
ENVIRONMENT_BYTES_MAX = 4_096
# Of what only AWS knows, such as an ARN: longer than those of this project get.
_UNKNOWN_BYTES = 150
_FIX = "deploy the contracts in two deployments, each with a suffix of its own"


def require_room(*stacks: Stack) -> None:
    """UsageError when a stack has more resources than CloudFormation takes, or a function a larger environment than
    Lambda does.
    """
    for stack in stacks:
        count = sum(CfnResource.is_cfn_resource(one) for one in stack.node.find_all())
        if count > RESOURCES_MAX:
            raise UsageError(
                f"stack {stack.stack_name} would have {count} resources, and CloudFormation takes {RESOURCES_MAX}",
                fix=_FIX,
            )
        for one in stack.node.find_all():
            if isinstance(one, lambda_.CfnFunction):
                _require_small_environment(stack, one)


def _require_small_environment(stack: Stack, function: lambda_.CfnFunction) -> None:
    variables = (stack.resolve(function.environment) or {}).get("variables", {})
    size = sum(len(name) + _bytes(value) for name, value in variables.items())
    if size > ENVIRONMENT_BYTES_MAX:
        raise UsageError(
            f"the variables of function {function.node.path} would have {size:,} bytes, and Lambda takes "
            f"{ENVIRONMENT_BYTES_MAX:,}",
            fix=_FIX,
        )


def _bytes(value: Any) -> int:
    """Of a text, as a template has it: never fewer than when account and region are filled in."""
    match value:
        case str():
            return len(value.encode())
        case {"Fn::Sub": str(text)}:
            return len(text.encode())
        case {"Fn::Join": [str(between), [*parts]]}:
            return sum(map(_bytes, parts)) + len(between.encode()) * (len(parts) - 1)
    return _UNKNOWN_BYTES
