"""Whether a rule of EventBridge fires for an event.

Knows the comparisons that deployments use. One that it does not know raises, so that no check takes it for a match.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tapehouse.cloud.conformance.stacks import Resource
from tapehouse.cloud.policy.patterns import like
from tapehouse.errors import UsageError

_ABSENT = object()


def fires(rule: Resource, event: Mapping[str, Any]) -> bool:
    """Whether an enabled rule with a pattern matches the event. UsageError for a comparison that is not known."""
    pattern = rule.get("EventPattern")
    return bool(pattern) and rule.get("State", "ENABLED") == "ENABLED" and _within(pattern, event)


def _within(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    for key, wanted in pattern.items():
        if key == "$or":
            if not any(_within(one, event) for one in wanted):
                return False
            continue
        found = event.get(key, _ABSENT)
        if isinstance(wanted, Mapping):
            if not _within(wanted, found if isinstance(found, Mapping) else {}):
                return False
        elif not any(_matches(one, found) for one in wanted):
            return False
    return True


def _matches(wanted: Any, found: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return bool(wanted == found)
    ((comparison, bound),) = wanted.items()
    if comparison == "exists":
        return bool((found is not _ABSENT) == bound)
    test = _COMPARISONS.get(comparison)
    if test is None:
        raise UsageError(f"comparison {comparison!r} in an event pattern is not known", fix="teach event_patterns.py")
    return found is not _ABSENT and test(str(found), bound)


def _none_of(found: str, bound: Any) -> bool:
    bounds = bound if isinstance(bound, list) else [bound]
    return not any(_matches(one, found) for one in bounds)


_COMPARISONS: Mapping[str, Callable[[str, Any], bool]] = {
    "prefix": lambda found, bound: found.startswith(str(bound)),
    "suffix": lambda found, bound: found.endswith(str(bound)),
    "equals-ignore-case": lambda found, bound: found.lower() == str(bound).lower(),
    "wildcard": lambda found, bound: like(found, str(bound)),
    "anything-but": _none_of,
}
