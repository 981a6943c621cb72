"""Lambda functions of ours: one layer and one copy of the code for all of a stack, a role for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Duration, Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.constructs.denies import Denies
from tapehouse.cloud.constructs.network import Network
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import ROLE_LIMIT, Naming
from tapehouse.cloud.releases.catalogue import chosen
from tapehouse.cloud.settings import Settings

# CreateNetworkInterface and its like are called by the service with the function's role, never by its code.
_INTERFACE_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
_INTERFACE_READS = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")


@dataclass(frozen=True, slots=True)
class FunctionPlatformProps:
    """What the functions of a stack share. `data_key` encrypts environments, `logs_key` log groups; `denies` is
    attached to every role."""

    settings: Settings
    naming: Naming
    lifecycle: Lifecycle
    packages: Packages
    data_key: kms.IKey
    logs_key: kms.IKey
    network: Network
    denies: Denies


class FunctionPlatform(Construct):
    """`layer` with the dependencies, `code`, and `security_group`, whose members may call out on 443 and be called by
    nobody.
    """

    layer: lambda_.LayerVersion
    code: lambda_.Code
    runtime: lambda_.Runtime
    security_group: ec2.SecurityGroup
    props: FunctionPlatformProps

    def __init__(self, scope: Construct, construct_id: str, *, props: FunctionPlatformProps) -> None:
        super().__init__(scope, construct_id)
        self.props = props
        self.runtime = lambda_.Runtime(chosen(props.settings, "lambda-python").version, lambda_.RuntimeFamily.PYTHON)
        self.code = lambda_.Code.from_asset(str(props.packages.code))
        self.layer = lambda_.LayerVersion(
            self,
            "Layer",
            code=lambda_.Code.from_asset(str(props.packages.layer)),
            layer_version_name=props.naming.name("dependencies"),
            description="What the functions import besides their own code",
            compatible_runtimes=[self.runtime],
            compatible_architectures=[lambda_.Architecture.X86_64],
            removal_policy=props.lifecycle.transient,
        )
        self.security_group = props.network.security_group(
            self, "Group", "functions", "Functions: nothing comes in, HTTPS goes out"
        )


@dataclass(frozen=True, slots=True)
class PythonFunctionProps:
    """`handler` is module.function in the package; `statements` are all that its code calls. `reserved` executions are
    kept for it and bound it; None takes from what the account has left. `dead_letters` is the ARN of the queue for
    asynchronous events that failed, for functions that have such.
    """

    purpose: str
    handler: str
    description: str
    statements: Sequence[iam.PolicyStatement]
    memory_mib: int = 1_024
    timeout_seconds: int = 60
    environment: Mapping[str, str] = field(default_factory=dict)
    reserved: int | None = None
    dead_letters: str | None = None


class PythonFunction(Construct):
    """`function` with its `role`, which holds exactly what its handler needs, and its `log_group`."""

    function: lambda_.Function
    role: iam.Role
    log_group: logs.LogGroup
    timeout_seconds: int

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: FunctionPlatform, props: PythonFunctionProps
    ) -> None:
        super().__init__(scope, construct_id)
        shared = platform.props
        self.timeout_seconds = props.timeout_seconds
        name = shared.naming.name(props.purpose)
        self.log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=Fn.join("", ["/aws/lambda/", name]),
            encryption_key=shared.logs_key,
            retention=shared.lifecycle.log_retention,
            removal_policy=shared.lifecycle.transient,
        )
        self.role = iam.Role(
            self,
            "Role",
            role_name=shared.naming.name(f"{props.purpose}-role", limit=ROLE_LIMIT),
            description=f"What {props.purpose} may do",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            managed_policies=[shared.denies.policy],
            inline_policies=self._policies(platform, props, shared.naming.text(props.purpose)),
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=props.description,
            runtime=platform.runtime,
            architecture=lambda_.Architecture.X86_64,
            handler=props.handler,
            code=platform.code,
            layers=[platform.layer],
            # The CDK would add policies of its own, with more than what is needed.
            role=self.role.without_policy_updates(),
            memory_size=props.memory_mib,
            timeout=Duration.seconds(props.timeout_seconds),
            environment=dict(props.environment),
            environment_encryption=shared.data_key,
            log_group=self.log_group,
            tracing=lambda_.Tracing.ACTIVE,
            reserved_concurrent_executions=props.reserved,
        )
        self._raw(platform, props)

    def _raw(self, platform: FunctionPlatform, props: PythonFunctionProps) -> None:
        """What the CDK's own class takes only together with constructs that we do not have."""
        raw: lambda_.CfnFunction = self.function.node.default_child
        # The role has its policies within it: that the function refers to it is all the order there is to keep.
        raw.add_deletion_override("DependsOn")
        raw.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=list(platform.props.network.private_subnet_ids),
            security_group_ids=[platform.security_group.security_group_id],
        )
        if props.dead_letters is not None:
            raw.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=props.dead_letters)

    def _policies(
        self, platform: FunctionPlatform, props: PythonFunctionProps, text: str
    ) -> dict[str, iam.PolicyDocument]:
        groups = {"runtime": self._runtime(platform, props, text), "handler": list(props.statements)}
        return {group: iam.PolicyDocument(statements=some) for group, some in groups.items() if some}

    def _runtime(self, platform: FunctionPlatform, props: PythonFunctionProps, text: str) -> list[iam.PolicyStatement]:
        """What the service does with the function's role, whatever its code."""
        found = [
            iam.PolicyStatement(
                sid="Log",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[self.log_group.log_group_arn],
            ),
            iam.PolicyStatement(
                sid="Trace",
                # X-Ray has no resource-level permissions for these.
                actions=["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
                resources=["*"],
            ),
            iam.PolicyStatement(
                sid="Environment", actions=["kms:Decrypt"], resources=[platform.props.data_key.key_arn]
            ),
            *self._interfaces(text),
        ]
        if props.dead_letters is not None:
            found.append(
                iam.PolicyStatement(sid="DeadLetters", actions=["sqs:SendMessage"], resources=[props.dead_letters])
            )
        return found

    def _interfaces(self, text: str) -> list[iam.PolicyStatement]:
        """The function's network interfaces, which the service makes as this role. Before it makes the function, Lambda
        asks whether the role may do so with every resource. The code itself may not.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
        """
        return [
            iam.PolicyStatement(sid="Interfaces", actions=[*_INTERFACE_ACTIONS, *_INTERFACE_READS], resources=["*"]),
            iam.PolicyStatement(
                sid="NotByTheCode",
                effect=iam.Effect.DENY,
                actions=[*_INTERFACE_ACTIONS, *_INTERFACE_READS],
                resources=["*"],
                conditions={"ArnEquals": {"lambda:SourceFunctionArn": arn("lambda", f"function:{text}")}},
            ),
        ]
