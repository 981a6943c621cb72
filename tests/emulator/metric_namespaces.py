"""The condition key `cloudwatch:namespace` of PutMetricData, which ministack leaves out of requests' contexts."""

from __future__ import annotations

import json
from typing import Any

_ACTION = "cloudwatch:PutMetricData"


def install() -> None:
    from ministack.core import iam_actions

    tags = iam_actions.request_tag_context

    def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
        found: dict[str, Any] = tags(service, iam_action, body, params)
        if iam_action == _ACTION:
            found = {**found, "cloudwatch:namespace": _namespace(body, params)}
        return found

    iam_actions.request_tag_context = request_tag_context


def _namespace(body: bytes, params: Any) -> str:
    """In whichever of its two protocols the request is."""
    given = params.get("Namespace") if hasattr(params, "get") else None
    if given:
        return str(given[0] if isinstance(given, list) else given)
    try:
        return str(json.loads(body)["Namespace"])
    except (ValueError, KeyError, TypeError):
        return ""
