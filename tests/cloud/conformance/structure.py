"""What rows say of the code that makes templates: typed attributes and properties, no release written in it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aws_cdk import CfnResource, Stack

# What only joins or guards other resources, and has no name, state or price of its own.
JOINTS = frozenset(
    {
        "AWS::EC2::Route",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::IAM::Policy",
        "AWS::KMS::Alias",
        "AWS::Lambda::Permission",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
)


def unreachable(stack: Stack) -> list[str]:
    """Paths of resources that no chain of typed public attributes leads to, from the stack on."""
    reached: set[str] = set()
    bought: set[str] = set()
    for one in _reach(stack):
        path = str(one.node.path)
        (reached if _ours(one) else bought).add(path)
    found = []
    for one in stack.node.find_all():
        if not CfnResource.is_cfn_resource(one) or one.cfn_resource_type in JOINTS:
            continue
        path = str(one.node.path)
        # A construct of the CDK's own stands for the resources that it made itself.
        if path not in reached | bought and not any(path.startswith(f"{parent}/") for parent in bought):
            found.append(f"{one.cfn_resource_type} {path}")
    return found


def _ours(value: Any) -> bool:
    return _written_here(type(value))


def _written_here(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("tapehouse", __name__.partition(".")[0])


def _reach(value: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Constructs that attributes lead to; through mappings, sequences and our own classes, not into the CDK's."""
    seen = set() if seen is None else seen
    if id(value) in seen or value is None or isinstance(value, str | int | float):
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        inner: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        inner = value
    else:
        if hasattr(value, "node"):
            yield value
        inner = [getattr(value, name, None) for name in public_attributes(type(value))] if _ours(value) else []
    for one in inner:
        yield from _reach(one, seen)


def public_attributes(kind: type) -> set[str]:
    """Names of a class's public attributes that have a type: annotations, and properties that say what they return."""
    found: set[str] = set()
    for base in kind.__mro__:
        if not _written_here(base):
            continue
        found |= {name for name in inspect.get_annotations(base) if not name.startswith("_")}
        for name, member in vars(base).items():
            typed = isinstance(member, property) and member.fget and "return" in member.fget.__annotations__
            if typed and not name.startswith("_"):
                found.add(name)
    return found


def untyped_props(kind: type) -> list[str]:
    """What is wrong with the properties that a construct or stack is made from; nothing when they are typed."""
    hints = typing.get_type_hints(kind.__init__)
    given = [name for name in hints if name not in ("scope", "construct_id", "return")]
    if not given:
        return [f"{kind.__name__} takes no typed properties"]
    wrong = []
    for name in given:
        props = hints[name]
        if props is Any:
            wrong.append(f"{kind.__name__}.{name} is Any")
        elif name == "props":
            frozen = dataclasses.is_dataclass(props) and props.__dataclass_params__.frozen  # type: ignore[attr-defined]
            wrong += [] if frozen else [f"{kind.__name__}.props is no frozen dataclass"]
            fields = dataclasses.fields(props) if frozen else ()
            wrong += [f"{kind.__name__}.props.{one.name} is Any" for one in fields if one.type in (Any, "Any")]
    return wrong


_RELEASE = re.compile(r"python3\.\d+|emr-(spark-)?\d+\.\d+\.\d+|PYTHON_3_\d+|\d\.0(\.\d+)?")


def release_literals(source: str) -> list[str]:
    """Releases written into code: constants and attributes that look like a runtime or a version of Glue or EMR."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _RELEASE.fullmatch(node.value):
            found.append(f"line {node.lineno}: {node.value}")
        if isinstance(node, ast.Attribute) and _RELEASE.fullmatch(node.attr):
            found.append(f"line {node.lineno}: {node.attr}")
    return found
