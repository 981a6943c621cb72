"""Changes that cost more: counts and sizes that go up, and things that are paid for by the hour."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.deploy.findings import Finding, Risk
from tapehouse.cloud.deploy.templates import Resource, canonical, number

# More of these costs more.
_COUNTS: dict[str, tuple[str, ...]] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": ("MinCapacity", "MaxCapacity"),
    "AWS::AutoScaling::AutoScalingGroup": ("MinSize", "MaxSize", "DesiredCapacity"),
    "AWS::DynamoDB::Table": ("ProvisionedThroughput.ReadCapacityUnits", "ProvisionedThroughput.WriteCapacityUnits"),
    "AWS::ECS::Service": ("DesiredCount",),
    "AWS::ECS::TaskDefinition": ("Cpu", "Memory"),
    "AWS::EMR::Cluster": (
        "Instances.MasterInstanceGroup.InstanceCount",
        "Instances.CoreInstanceGroup.InstanceCount",
        "ManagedScalingPolicy.ComputeLimits.MinimumCapacityUnits",
        "ManagedScalingPolicy.ComputeLimits.MaximumCapacityUnits",
    ),
    "AWS::EMR::InstanceGroupConfig": ("InstanceCount",),
    "AWS::Glue::Job": (
        "NumberOfWorkers",
        "MaxCapacity",
        "ExecutionProperty.MaxConcurrentRuns",
        "Timeout",
        "MaxRetries",
    ),
    "AWS::Kinesis::Stream": ("ShardCount", "RetentionPeriodHours"),
    "AWS::Lambda::Alias": ("ProvisionedConcurrencyConfig.ProvisionedConcurrentExecutions",),
    "AWS::Lambda::Function": ("MemorySize", "ReservedConcurrentExecutions", "Timeout", "EphemeralStorage.Size"),
    "AWS::Logs::LogGroup": ("RetentionInDays",),
    "AWS::RDS::DBCluster": (
        "ServerlessV2ScalingConfiguration.MinCapacity",
        "ServerlessV2ScalingConfiguration.MaxCapacity",
        "BackupRetentionPeriod",
    ),
}
# Their values are names of sizes: any change is told.
_SIZES: dict[str, tuple[str, ...]] = {
    "AWS::DynamoDB::Table": ("BillingMode", "TableClass"),
    "AWS::EMR::Cluster": (
        "Instances.MasterInstanceGroup.InstanceType",
        "Instances.CoreInstanceGroup.InstanceType",
    ),
    "AWS::EMR::InstanceGroupConfig": ("InstanceType", "Market"),
    "AWS::Glue::Job": ("WorkerType", "ExecutionClass"),
    "AWS::Kinesis::Stream": ("StreamModeDetails.StreamMode",),
    "AWS::RDS::DBInstance": ("DBInstanceClass", "MultiAZ", "StorageType"),
}
# Paid for while they are there, used or not.
_BY_THE_HOUR = {
    "AWS::EC2::EIP": "an address",
    "AWS::EC2::NatGateway": "a NAT gateway",
    "AWS::EC2::VPCEndpoint": "an interface endpoint in each zone",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "a load balancer",
    "AWS::EMR::Cluster": "a cluster",
    "AWS::EMR::InstanceGroupConfig": "instances of a cluster",
    "AWS::Kinesis::Stream": "a stream's shards",
    "AWS::Kinesis::StreamConsumer": "a fan-out consumer on each shard",
    "AWS::KMS::Key": "a key",
    "AWS::RDS::DBInstance": "a database instance",
    "AWS::SecretsManager::Secret": "a secret",
    "AWS::WAFv2::WebACL": "a web ACL",
}


def dearer(resource: Resource) -> Iterator[Finding]:
    """Everything of one changed resource that may cost more."""
    if resource.action == "add":
        gateway = resource.type == "AWS::EC2::VPCEndpoint" and resource.new("VpcEndpointType") != "Interface"
        if resource.type in _BY_THE_HOUR and not gateway:
            yield _finding(resource, "", f"{_BY_THE_HOUR[resource.type]} is paid for while it is there")
        return
    if resource.action == "remove":
        return
    for path in _COUNTS.get(resource.type, ()):
        parts = tuple(path.split("."))
        was, will = number(resource.old(*parts)), number(resource.new(*parts))
        if will is not None and was is not None and will > was:
            yield _finding(resource, path, f"{was:g} becomes {will:g}")
        elif (will is None) != (was is None):
            yield _finding(resource, path, "a bound is taken away" if will is None else f"is now {will:g}")
    for path in _SIZES.get(resource.type, ()):
        parts = tuple(path.split("."))
        if canonical(resource.old(*parts)) != canonical(resource.new(*parts)):
            yield _finding(resource, path, f"{resource.old(*parts)} becomes {resource.new(*parts)}")


def _finding(resource: Resource, path: str, why: str) -> Finding:
    parts = tuple(path.split(".")) if path else ()
    before, after = (resource.old(*parts), resource.new(*parts)) if parts else (None, None)
    return Finding(Risk.COST, resource.id, resource.type, resource.action, path, why, before, after)
