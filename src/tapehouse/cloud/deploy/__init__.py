"""Deploy a cloud assembly with boto3 alone: assets, change sets, outputs, removal, and what a change would risk.

`deploy`, `destroy`, `outputs` and `diff` take the folder of an assembly, and a session or an endpoint. Nothing here
knows a blueprint: only what synthesis wrote.
"""

from tapehouse.cloud.deploy.deploying import Deployment, StackResult, deploy
from tapehouse.cloud.deploy.destroying import Destruction, Retained, destroy
from tapehouse.cloud.deploy.differing import Difference, StackDifference, compare, compare_templates, diff
from tapehouse.cloud.deploy.errors import (
    AssemblyError,
    DeploymentError,
    ProtectedError,
    ResourceFailure,
    StackFailedError,
    StackTimeoutError,
)
from tapehouse.cloud.deploy.findings import Finding, Risk
from tapehouse.cloud.deploy.outputs import outputs
from tapehouse.cloud.deploy.target import Event, Target

__all__ = [
    "AssemblyError",
    "Deployment",
    "DeploymentError",
    "Destruction",
    "Difference",
    "Event",
    "Finding",
    "ProtectedError",
    "ResourceFailure",
    "Retained",
    "Risk",
    "StackDifference",
    "StackFailedError",
    "StackResult",
    "StackTimeoutError",
    "Target",
    "compare",
    "compare_templates",
    "deploy",
    "destroy",
    "diff",
    "outputs",
]
