"""Which properties of which types cannot be changed in place, from CloudFormation's own schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

FILE = "create_only.json"


@lru_cache(maxsize=1)
def create_only() -> Mapping[str, Mapping[str, list[str]]]:
    """Type -> `always` or `sometimes` -> dotted paths of properties."""
    text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    found: Mapping[str, Mapping[str, list[str]]] = json.loads(text)
    return found


def replaces(kind: str, path: tuple[str, ...]) -> str:
    """Whether a change at a path of properties replaces the resource: always, sometimes or never.

    A change above a property that cannot change counts as well. Of custom resources, the service token cannot.
    """
    if kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource":
        return "always" if path[:1] == ("ServiceToken",) else "never"
    known = create_only().get(kind, {})
    for answer in ("always", "sometimes"):
        for fixed in known.get(answer, []):
            parts = tuple(fixed.split("."))
            shared = min(len(parts), len(path))
            if path and parts[:shared] == path[:shared]:
                return answer
    return "never"
