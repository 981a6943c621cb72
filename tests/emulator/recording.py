"""Every API call, with who made it, so that a policy evaluator can replay it.

A call is written where ministack asks whether it is allowed: a request that AWS authorizes more than once (a copy, a
batch of keys, a transaction) is one `Call` for each of those. What the emulator does inside itself is written only
where our extension asks for it: reads of event source mappings and what they send to a destination.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Call:
    """`action` as a policy writes it (`s3:PutObject`), `resource` an ARN or `*`, `principal` the caller's ARN (empty
    where the key is unknown), `context` the condition keys of the request, lower case, `at` epoch seconds."""

    service: str
    action: str
    resource: str
    principal: str
    access_key: str
    region: str
    allowed: bool
    at: float
    context: dict[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """Name of the role that called; empty for the root of the account."""
        return self.principal.split("/")[1] if ":assumed-role/" in self.principal else ""


def read_calls(path: Path) -> list[Call]:
    """Those written so far, oldest first."""
    if not path.exists():
        return []
    return [Call(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


class Lines:
    """A file of JSON lines that threads append to."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._path = path

    def append(self, item: dict[str, Any]) -> None:
        line = json.dumps(item, default=str, sort_keys=True) + "\n"
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line)


def install(path: Path) -> None:
    """Put ourselves before ministack's decision."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id

    from emulator.key_use import uses
    from emulator.request_arns import containers

    lines = Lines(path)
    decide: Callable[..., Any] = iam_evaluator.enforce

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = ask(access_key_id, iam_action, service, region, resource_arn, service_context)
        if denied is None:
            for container in containers(resource_arn):
                denied = denied or ask(access_key_id, iam_action, service, region, container, service_context)
            for use in uses(iam_action, resource_arn, region, get_account_id()):
                denied = denied or ask(access_key_id, use.action, "kms", region, use.key, use.context)
        return denied

    def ask(key: str, action: str, service: str, region: str, resource: str, context: dict[str, Any] | None) -> Any:
        denied = decide(key, action, service, region, resource, context)
        identity = iam_evaluator.resolve_caller_identity(key or "") or {}
        call = Call(
            service=service,
            action=action,
            resource=resource,
            principal=identity.get("userArn", ""),
            access_key=key or "",
            region=region,
            allowed=denied is None,
            at=time.time(),
            context={name.lower(): value for name, value in (context or {}).items() if value is not None},
        )
        lines.append(asdict(call))
        return denied

    iam_evaluator.enforce = enforce
