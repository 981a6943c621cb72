"""Stacks as an account sees them: roles with their policies, resources with theirs, and who may do what."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tapehouse.cloud.policy.decide import Decision, Policies, decide
from tapehouse.cloud.policy.documents import Document, PolicyError
from tapehouse.cloud.policy.managed import managed_policy
from tapehouse.cloud.policy.place import Place
from tapehouse.cloud.policy.request import Caller, Request
from tapehouse.cloud.policy.resolve import Resolver


@dataclass(frozen=True, slots=True)
class Permit:
    """A role: what it may do, who may become it, what bounds it. `managed` lists AWS's policies that are attached
    but not known here: they allow nothing in an evaluation."""

    logical_id: str
    arn: str
    identity: tuple[Document, ...]
    trust: Document
    boundary: Document | None = None
    managed: tuple[str, ...] = ()


class Account:
    """All that several stacks of one deployment say about access."""

    def __init__(self, resolvers: Iterable[Resolver]) -> None:
        self.resolvers = tuple(resolvers)
        self.roles: dict[str, Permit] = {}
        self.resource_policies: dict[str, Document] = {}
        for resolver in self.resolvers:
            self.roles.update((permit.logical_id, permit) for permit in _roles(resolver))
            for arn, document in _resource_policies(resolver):
                known = self.resource_policies.get(arn)
                joined = (*(known.statements if known else ()), *document.statements)
                self.resource_policies[arn] = Document(joined, document.source)

    @classmethod
    def of(cls, templates: Mapping[str, Mapping[str, Any]], place: Place | None = None) -> Account:
        """From templates by stack name."""
        base = place or Place()
        return cls(Resolver(template, replace(base, stack=name)) for name, template in templates.items())

    def role(self, name: str) -> Permit:
        """By logical id, ARN or role name. Raises PolicyError when there is none."""
        for permit in self.roles.values():
            if name in (permit.logical_id, permit.arn, permit.arn.rpartition("/")[2]):
                return permit
        raise PolicyError(f"no role {name!r}", fix=f"name one of: {', '.join(sorted(self.roles))}")

    def with_role(self, permit: Permit) -> Account:
        """The same account with another version of one of its roles."""
        changed = copy.copy(self)
        changed.roles = {**self.roles, permit.logical_id: permit}
        return changed

    def policy_of(self, resource: str) -> Document | None:
        """The policy of the resource itself, or of what contains it (an object's bucket, a version's function)."""
        for arn, document in self.resource_policies.items():
            if resource == arn or resource.startswith((f"{arn}/", f"{arn}:")):
                return document
        return None

    def allows(self, role: str, action: str, resource: str, context: Mapping[str, Any] | None = None) -> Decision:
        """Whether a role of the stacks may do this to a resource (an ARN, or `*` where the action knows none)."""
        permit = self.role(role)
        request = Request(Caller.role(permit.arn), action, resource, context or {})
        return decide(request, Policies(permit.identity, self.policy_of(resource), permit.boundary))

    def admits(
        self,
        caller: Caller,
        action: str,
        resource: str,
        context: Mapping[str, Any] | None = None,
        identity: Iterable[Document] = (),
        owner: str = "",
    ) -> Decision:
        """Whether a resource of the stacks lets a caller in that is not of the stacks: a service, another account."""
        request = Request(caller, action, resource, context or {}, owner or self.resolvers[0].place.account)
        return decide(request, Policies(tuple(identity), self.policy_of(resource)))


def evaluate(
    template: Mapping[str, Any],
    role_logical_id: str,
    action: str,
    resource: str,
    context: Mapping[str, Any] | None = None,
    place: Place | None = None,
) -> Decision:
    """One question to one template. `resource` is an ARN in `place`; see `Resolver` for what names are there."""
    return Account((Resolver(template, place),)).allows(role_logical_id, action, resource, context)


# ---- roles -------------------------------------------------------------------------------------------------------


def _roles(resolver: Resolver) -> Iterator[Permit]:
    attached = _attached(resolver)
    for logical_id, _ in resolver.resources("AWS::IAM::Role"):
        properties = resolver.properties(logical_id)
        ref = resolver.value({"Ref": logical_id})
        documents = [
            Document.parse(policy["PolicyDocument"], f"{logical_id}.Policies[{index}]")
            for index, policy in enumerate(properties.get("Policies", []))
        ]
        documents += attached.get(ref, [])
        unknown: list[str] = []
        for arn in properties.get("ManagedPolicyArns", []):
            document = _managed(resolver, arn)
            if document is None:
                unknown.append(arn)
            else:
                documents.append(document)
        boundary = properties.get("PermissionsBoundary")
        yield Permit(
            logical_id=logical_id,
            arn=resolver.value({"Fn::GetAtt": [logical_id, "Arn"]}),
            identity=tuple(documents),
            trust=Document.parse(properties["AssumeRolePolicyDocument"], f"{logical_id}.AssumeRolePolicyDocument"),
            boundary=_managed(resolver, boundary) if boundary else None,
            managed=tuple(unknown),
        )


def _attached(resolver: Resolver) -> dict[str, list[Document]]:
    """Role name -> documents of policies that are resources of their own."""
    found: dict[str, list[Document]] = {}
    kinds = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy")
    for logical_id, _ in resolver.resources(*kinds):
        properties = resolver.properties(logical_id)
        document = Document.parse(properties["PolicyDocument"], f"{logical_id}.PolicyDocument")
        names = [*properties.get("Roles", []), *([properties["RoleName"]] if "RoleName" in properties else [])]
        for name in names:
            found.setdefault(name, []).append(document)
    return found


def _managed(resolver: Resolver, arn: str) -> Document | None:
    for logical_id, _ in resolver.resources("AWS::IAM::ManagedPolicy"):
        if resolver.value({"Ref": logical_id}) == arn:
            body = resolver.properties(logical_id)["PolicyDocument"]
            return Document.parse(body, f"{logical_id}.PolicyDocument")
    return managed_policy(arn)


# ---- resources ---------------------------------------------------------------------------------------------------


_POLICED = frozenset(
    {
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Lambda::Permission",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
)


def _resource_policies(resolver: Resolver) -> Iterator[tuple[str, Document]]:
    place = resolver.place
    for logical_id, resource in resolver.resources():
        kind = resource["Type"]
        if kind not in _POLICED and "ResourcePolicy" not in resource.get("Properties", {}):
            continue
        properties = resolver.properties(logical_id)
        if kind == "AWS::KMS::Key":
            yield _arn(resolver, logical_id), Document.parse(properties["KeyPolicy"], f"{logical_id}.KeyPolicy")
        elif kind == "AWS::IAM::Role":
            source = f"{logical_id}.AssumeRolePolicyDocument"
            yield _arn(resolver, logical_id), Document.parse(properties["AssumeRolePolicyDocument"], source)
        elif kind == "AWS::S3::BucketPolicy":
            arn = place.arn("s3", properties["Bucket"], region=False, account=False)
            yield arn, _document(properties, logical_id)
        elif kind == "AWS::SQS::QueuePolicy":
            names = [url.rpartition("/")[2] for url in properties["Queues"]]
            yield from ((place.arn("sqs", name), _document(properties, logical_id)) for name in names)
        elif kind == "AWS::SNS::TopicPolicy":
            yield from ((topic, _document(properties, logical_id)) for topic in properties["Topics"])
        elif kind == "AWS::Lambda::Permission":
            yield _invocation(properties, logical_id, place)
        elif kind == "AWS::SecretsManager::ResourcePolicy":
            yield properties["SecretId"], Document.parse(properties["ResourcePolicy"], logical_id)
        elif "ResourcePolicy" in properties and isinstance(properties["ResourcePolicy"], Mapping):
            body = properties["ResourcePolicy"].get("PolicyDocument", properties["ResourcePolicy"])
            yield properties.get("ResourceArn") or _arn(resolver, logical_id), Document.parse(body, logical_id)


def _arn(resolver: Resolver, logical_id: str) -> str:
    return str(resolver.value({"Fn::GetAtt": [logical_id, "Arn"]}))


def _document(properties: Mapping[str, Any], logical_id: str) -> Document:
    body = properties["PolicyDocument"]
    return Document.parse(json.loads(body) if isinstance(body, str) else body, f"{logical_id}.PolicyDocument")


def _invocation(properties: Mapping[str, Any], logical_id: str, place: Place) -> tuple[str, Document]:
    name = properties["FunctionName"]
    arn = name if name.startswith("arn:") else place.arn("lambda", f"function:{name}")
    principal = properties["Principal"]
    conditions: dict[str, dict[str, Any]] = {}
    if "SourceArn" in properties:
        conditions["ArnLike"] = {"AWS:SourceArn": properties["SourceArn"]}
    if "SourceAccount" in properties:
        conditions["StringEquals"] = {"AWS:SourceAccount": properties["SourceAccount"]}
    statement = {
        "Effect": "Allow",
        "Action": properties["Action"],
        "Resource": arn,
        "Principal": {"Service" if principal.endswith(".amazonaws.com") else "AWS": principal},
        "Condition": conditions,
    }
    return arn, Document.parse({"Version": "2012-10-17", "Statement": statement}, logical_id)
