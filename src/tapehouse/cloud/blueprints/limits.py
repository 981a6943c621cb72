"""CloudFormation's limits on a stack, told before anything is written."""

from __future__ import annotations

from aws_cdk import CfnResource, Stack

from tapehouse.errors import UsageError

RESOURCES_MAX = 500


def require_room(*stacks: Stack) -> None:
    """UsageError when a stack has more resources than CloudFormation takes."""
    for stack in stacks:
        count = sum(CfnResource.is_cfn_resource(one) for one in stack.node.find_all())
        if count > RESOURCES_MAX:
            raise UsageError(
                f"stack {stack.stack_name} would have {count} resources, and CloudFormation takes {RESOURCES_MAX}",
                fix="deploy the contracts in two deployments, each with a suffix of its own",
            )
