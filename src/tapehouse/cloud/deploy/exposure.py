"""Changes that let somebody do or reach more: policies, security groups, public access, encryption."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from tapehouse.cloud.deploy.findings import Finding, Risk
from tapehouse.cloud.deploy.statements import widenings
from tapehouse.cloud.deploy.templates import Resource, canonical

# Where the policy documents of a type are.
_DOCUMENTS: dict[str, tuple[str, ...]] = {
    "AWS::IAM::Role": ("AssumeRolePolicyDocument",),
    "AWS::IAM::Policy": ("PolicyDocument",),
    "AWS::IAM::RolePolicy": ("PolicyDocument",),
    "AWS::IAM::ManagedPolicy": ("PolicyDocument",),
    "AWS::S3::BucketPolicy": ("PolicyDocument",),
    "AWS::SQS::QueuePolicy": ("PolicyDocument",),
    "AWS::SNS::TopicPolicy": ("PolicyDocument",),
    "AWS::KMS::Key": ("KeyPolicy",),
    "AWS::Kinesis::ResourcePolicy": ("ResourcePolicy",),
    "AWS::SecretsManager::ResourcePolicy": ("ResourcePolicy",),
    "AWS::Logs::ResourcePolicy": ("PolicyDocument",),
    "AWS::EC2::VPCEndpoint": ("PolicyDocument",),
    "AWS::ECR::Repository": ("RepositoryPolicyText",),
}
# A list of these may only become shorter unnoticed.
_LISTS: dict[str, tuple[tuple[str, str], ...]] = {
    "AWS::IAM::Role": (("ManagedPolicyArns", "managed policy"),),
    "AWS::IAM::Policy": (("Roles", "role"), ("Users", "user"), ("Groups", "group")),
    "AWS::IAM::ManagedPolicy": (("Roles", "role"), ("Users", "user"), ("Groups", "group")),
}
# What protects while it is there. True where its absence is no protection.
_GUARDS: dict[str, tuple[tuple[str, str], ...]] = {
    "AWS::IAM::Role": (("PermissionsBoundary", "the permissions boundary"),),
    "AWS::S3::Bucket": (("BucketEncryption", "default encryption"),),
    "AWS::SQS::Queue": (("KmsMasterKeyId", "encryption with a key of one's own"),),
    "AWS::SNS::Topic": (("KmsMasterKeyId", "encryption with a key of one's own"),),
    "AWS::Logs::LogGroup": (("KmsKeyId", "encryption with a key of one's own"),),
    "AWS::Kinesis::Stream": (("StreamEncryption", "encryption"),),
    "AWS::DynamoDB::Table": (("SSESpecification", "encryption with a key of one's own"),),
    "AWS::Glue::Job": (("SecurityConfiguration", "the security configuration"),),
    "AWS::Lambda::Function": (("VpcConfig", "the placement in the VPC"), ("KmsKeyArn", "encryption of its variables")),
}
_PUBLIC = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_RULES = {"SecurityGroupIngress": "SourceSecurityGroupId", "SecurityGroupEgress": "DestinationSecurityGroupId"}


def widened(resource: Resource) -> Iterator[Finding]:
    """Everything of one changed resource that opens something. One that goes opens what its denials closed."""
    for name in _DOCUMENTS.get(resource.type, ()):
        for line in widenings(resource.old(name), resource.new(name)):
            yield _finding(resource, name, line)
    if resource.type == "AWS::IAM::Role":
        yield from _inline(resource)
    for name, what in _LISTS.get(resource.type, ()):
        for item in _added(resource.old(name), resource.new(name)):
            yield _finding(resource, name, f"{what} {item} is added")
    if resource.action == "modify":
        yield from _unguarded(resource)
    yield from _network(resource)
    if resource.type == "AWS::Lambda::Permission" and resource.after and _properties_differ(resource):
        who, what = resource.new("Principal"), resource.new("Action")
        source = resource.new("SourceArn")
        under = f" from {_text(source)}" if source is not None else " from anywhere"
        yield _finding(resource, "Principal", f"{_text(who)} may {_text(what)}{under}")


def _inline(resource: Resource) -> Iterator[Finding]:
    def documents(policies: Any) -> dict[str, Any]:
        return {canonical(one.get("PolicyName")): one.get("PolicyDocument") for one in policies or []}

    old, new = documents(resource.old("Policies")), documents(resource.new("Policies"))
    for name in sorted(old.keys() | new.keys()):
        for line in widenings(old.get(name), new.get(name)):
            yield _finding(resource, "Policies", line)


def _unguarded(resource: Resource) -> Iterator[Finding]:
    for name, what in _GUARDS.get(resource.type, ()):
        if resource.old(name) and not resource.new(name):
            yield _finding(resource, name, f"{what} is taken away")
    if resource.type == "AWS::S3::Bucket":
        for flag in _PUBLIC:
            path = ("PublicAccessBlockConfiguration", flag)
            if _true(resource.old(*path)) and not _true(resource.new(*path)):
                yield _finding(resource, ".".join(path), f"{flag} is turned off")
    rotation = "EnableKeyRotation"
    if resource.type == "AWS::KMS::Key" and _true(resource.old(rotation)) and not _true(resource.new(rotation)):
        yield _finding(resource, rotation, "the key is no longer rotated")


def _network(resource: Resource) -> Iterator[Finding]:
    if resource.type == "AWS::EC2::SecurityGroup":
        for name, peer in _RULES.items():
            old, new = resource.old(name) or [], resource.new(name) or []
            for rule in new if isinstance(new, list) else []:
                if not any(_rule_covers(known, rule, peer) for known in old if isinstance(old, list)):
                    yield _finding(resource, name, f"opened: {_rule_text(rule, peer)}")
    short = resource.type.removeprefix("AWS::EC2::")
    if short in _RULES and resource.after:
        old, new = resource.before.get("Properties") or {}, resource.after["Properties"]
        if not old or not _rule_covers(old, new, _RULES[short]):
            yield _finding(resource, "", f"opened: {_rule_text(new, _RULES[short])}")


def _rule_covers(old: Mapping[str, Any], new: Mapping[str, Any], peer: str) -> bool:
    everything = canonical(old.get("IpProtocol")) == canonical("-1")
    if not everything and canonical(old.get("IpProtocol")) != canonical(new.get("IpProtocol")):
        return False
    if not everything and not _ports_cover(old, new):
        return False
    for key in (peer, "SourcePrefixListId", "DestinationPrefixListId", "CidrIpv6"):
        if canonical(old.get(key)) != canonical(new.get(key)):
            return False
    return _cidr_covers(old.get("CidrIp"), new.get("CidrIp"))


def _ports_cover(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    try:
        return int(old["FromPort"]) <= int(new["FromPort"]) and int(new["ToPort"]) <= int(old["ToPort"])
    except (KeyError, TypeError, ValueError):
        return all(canonical(old.get(port)) == canonical(new.get(port)) for port in ("FromPort", "ToPort"))


def _cidr_covers(old: Any, new: Any) -> bool:
    try:
        return ipaddress.IPv4Network(new).subnet_of(ipaddress.IPv4Network(old))
    except (TypeError, ValueError, AttributeError):
        return canonical(old) == canonical(new)


def _rule_text(rule: Mapping[str, Any], peer: str) -> str:
    keys = ("CidrIp", "CidrIpv6", peer, "SourcePrefixListId", "DestinationPrefixListId")
    who = next((rule[key] for key in keys if rule.get(key)), "unknown")
    ports = "all ports" if rule.get("FromPort") is None else f"ports {rule['FromPort']}-{rule.get('ToPort')}"
    return f"protocol {rule.get('IpProtocol')}, {ports}, with {_text(who)}"


def _added(old: Any, new: Any) -> list[str]:
    """Items of a list that were not in it; a list that is a function is one item."""
    was = [canonical(one) for one in (old if isinstance(old, list) else [old])]
    will = new if isinstance(new, list) else [new]
    return [_text(one) for one in will if one is not None and canonical(one) not in was]


def _properties_differ(resource: Resource) -> bool:
    return canonical(resource.before.get("Properties")) != canonical(resource.after.get("Properties"))


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def _finding(resource: Resource, path: str, why: str) -> Finding:
    parts = tuple(path.split(".")) if path else ()
    before, after = (resource.old(*parts), resource.new(*parts)) if parts else (None, None)
    return Finding(Risk.PRIVILEGE, resource.id, resource.type, resource.action, path, why, before, after)
