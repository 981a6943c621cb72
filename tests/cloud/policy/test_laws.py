"""Laws that hold for any policies: deny wins, allows only add, denies only take away, silence is no."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tapehouse.cloud.policy import Caller, Document, Policies, Request, decide

HOME, AWAY = "111122223333", "444455556666"
CALLERS = [
    Caller.role(f"arn:aws:iam::{HOME}:role/app"),
    Caller.role(f"arn:aws:iam::{AWAY}:role/app"),
    Caller.user(f"arn:aws:iam::{HOME}:user/ann"),
    Caller.of_service("sns.amazonaws.com"),
    Caller(),
]
RESOURCES = [
    "arn:aws:s3:::tape/a",
    "arn:aws:s3:::tape",
    f"arn:aws:kms:us-east-1:{HOME}:key/k",
    f"arn:aws:iam::{HOME}:role/t",
]
ACTIONS = ["s3:GetObject", "s3:PutObject", "kms:Decrypt", "sts:AssumeRole"]
PRINCIPALS: list[Any] = [
    "*",
    {"AWS": f"arn:aws:iam::{HOME}:root"},
    {"AWS": [AWAY, f"arn:aws:iam::{HOME}:user/ann"]},
    {"AWS": f"arn:aws:iam::{HOME}:role/app"},
    {"Service": "sns.amazonaws.com"},
]
CONDITIONS: list[Any] = [
    {},
    {"StringEquals": {"k": "a"}},
    {"StringNotEqualsIfExists": {"k": "a"}},
    {"Null": {"k": "true"}},
    {"ForAllValues:StringLike": {"k": ["a*", "b"]}},
    {"Bool": {"aws:SecureTransport": "false"}},
]


@st.composite
def statements(draw: st.DrawFn, principal: bool, effects: tuple[str, ...] = ("Allow", "Deny")) -> dict[str, Any]:
    body: dict[str, Any] = {"Effect": draw(st.sampled_from(effects)), "Condition": draw(st.sampled_from(CONDITIONS))}
    body[draw(st.sampled_from(["Action", "NotAction"]))] = draw(st.sampled_from([*ACTIONS, "*", "s3:*", "kms:D*"]))
    body[draw(st.sampled_from(["Resource", "NotResource"]))] = draw(
        st.sampled_from([*RESOURCES, "*", "arn:aws:s3:::tape/*"])
    )
    if principal:
        body[draw(st.sampled_from(["Principal", "NotPrincipal"]))] = draw(st.sampled_from(PRINCIPALS))
    return body


def parsed(bodies: list[dict[str, Any]]) -> Document:
    return Document.parse({"Version": "2012-10-17", "Statement": bodies})


IDENTITY = st.lists(statements(principal=False), max_size=4)
RESOURCE = st.lists(statements(principal=True), max_size=4)
REQUESTS = st.builds(
    Request,
    caller=st.sampled_from(CALLERS),
    action=st.sampled_from(ACTIONS),
    resource=st.sampled_from(RESOURCES),
    context=st.sampled_from([{}, {"k": "a"}, {"k": ["ab", "c"]}, {"aws:SecureTransport": False}]),
    owner=st.just(HOME),
)
ALL = {"Action": "*", "Resource": "*"}


@given(REQUESTS, IDENTITY, RESOURCE)
def test_deny_always_wins(request: Request, identity: list[dict[str, Any]], resource: list[dict[str, Any]]) -> None:
    never = {"Effect": "Deny", **ALL}
    assert not decide(request, Policies((parsed([*identity, never]),), parsed(resource)))
    assert not decide(request, Policies((parsed(identity),), parsed([*resource, {**never, "Principal": "*"}])))


@given(REQUESTS, IDENTITY, RESOURCE, statements(principal=False, effects=("Allow",)), statements(True, ("Allow",)))
def test_an_allow_never_takes_away(
    request: Request,
    identity: list[dict[str, Any]],
    resource: list[dict[str, Any]],
    more: dict[str, Any],
    theirs: dict[str, Any],
) -> None:
    before = decide(request, Policies((parsed(identity),), parsed(resource)))
    after = decide(request, Policies((parsed([*identity, more]),), parsed([*resource, theirs])))
    assert not before or after


@given(REQUESTS, IDENTITY, RESOURCE, statements(principal=False, effects=("Deny",)), statements(True, ("Deny",)))
def test_a_deny_never_gives(
    request: Request,
    identity: list[dict[str, Any]],
    resource: list[dict[str, Any]],
    more: dict[str, Any],
    theirs: dict[str, Any],
) -> None:
    before = decide(request, Policies((parsed(identity),), parsed(resource)))
    after = decide(request, Policies((parsed([*identity, more]),), parsed([*resource, theirs])))
    assert before or not after


@given(REQUESTS, st.lists(statements(False, ("Deny",)), max_size=3), st.lists(statements(True, ("Deny",)), max_size=3))
def test_without_an_allow_nothing_is_allowed(
    request: Request, identity: list[dict[str, Any]], resource: list[dict[str, Any]]
) -> None:
    assert not decide(request, Policies((parsed(identity),), parsed(resource)))


@given(REQUESTS, IDENTITY, RESOURCE, IDENTITY)
def test_a_boundary_only_limits(
    request: Request,
    identity: list[dict[str, Any]],
    resource: list[dict[str, Any]],
    boundary: list[dict[str, Any]],
) -> None:
    free = decide(request, Policies((parsed(identity),), parsed(resource)))
    bounded = decide(request, Policies((parsed(identity),), parsed(resource), parsed(boundary)))
    assert free or not bounded


@given(REQUESTS, IDENTITY, RESOURCE, st.randoms(use_true_random=False))
def test_order_does_not_matter(
    request: Request, identity: list[dict[str, Any]], resource: list[dict[str, Any]], random: Any
) -> None:
    before = decide(request, Policies((parsed(identity),), parsed(resource)))
    random.shuffle(identity)
    random.shuffle(resource)
    split = tuple(parsed([one]) for one in identity)
    assert decide(request, Policies(split, parsed(resource))).allowed == before.allowed
