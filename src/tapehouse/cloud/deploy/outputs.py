"""What a deployment tells about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tapehouse.cloud.deploy.assembly import Assembly
from tapehouse.cloud.deploy.errors import DeploymentError
from tapehouse.cloud.deploy.stacks import find
from tapehouse.cloud.deploy.target import Target, told


@told
def outputs(
    assembly: Path, *, session: Any = None, endpoint: str | None = None, region: str | None = None
) -> dict[str, dict[str, str]]:
    """Outputs of the deployed stacks: stack -> output -> value. DeploymentError where a stack is not deployed."""
    target = Target.of(session=session, endpoint=endpoint, region=region)
    found = {}
    for artifact in Assembly.read(assembly).stacks:
        stack = find(target, artifact.name)
        if stack is None or stack.status == "REVIEW_IN_PROGRESS":
            raise DeploymentError("is not deployed", stack=artifact.name, fix="tapehouse cloud deploy")
        found[artifact.name] = dict(sorted(stack.outputs.items()))
    return found
