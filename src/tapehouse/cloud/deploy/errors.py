"""Every way a deployment can fail, with what to do about it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from tapehouse.errors import TapehouseError, UsageError


class DeploymentError(TapehouseError):
    """AWS refused or could not finish something. `stack` is its name where there is one."""

    exit_code = 9

    def __init__(self, message: str, *, stack: str = "", fix: str = "") -> None:
        super().__init__(f"{stack}: {message}" if stack else message, fix=fix)
        self.stack = stack


class AssemblyError(UsageError):
    """A folder is no cloud assembly, is damaged, or is meant for another account or region."""


class ProtectedError(DeploymentError):
    """A stack is protected from what was asked. Nothing was changed."""


class StackTimeoutError(DeploymentError):
    """AWS is still at work; `waiting` names the resources (logical ids) it had not finished with."""

    def __init__(self, message: str, *, stack: str, waiting: tuple[str, ...], fix: str) -> None:
        super().__init__(message, stack=stack, fix=fix)
        self.waiting = waiting


@dataclass(frozen=True, slots=True)
class ResourceFailure:
    """A resource that failed: its logical id, its type and AWS's own words."""

    resource: str
    type: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.resource} ({self.type}): {self.reason}"


class StackFailedError(DeploymentError):
    """A stack did not reach what was asked. `failures` are the resources that failed first; `status` is the stack's."""

    def __init__(self, stack: str, status: str, failures: tuple[ResourceFailure, ...], reason: str = "") -> None:
        told = [f"ended as {status}", *(f"  {failure}" for failure in failures)]
        if not failures and reason:
            told.append(f"  {reason}")
        text = " ".join([reason, *(failure.reason for failure in failures)])
        super().__init__("\n".join(told), stack=stack, fix=way_out(text))
        self.status = status
        self.failures = failures


_AGAIN = "then deploy again: what this attempt left is cleaned up first"
_WAYS_OUT = (
    (
        r"already ?exists|AlreadyOwned|NameConflict",
        f"something of that name is left from elsewhere: remove it or choose another suffix, {_AGAIN}",
    ),
    (
        r"AccessDenied|not authorized|Unauthorized|UnrecognizedClient|security token",
        f"give the caller that permission, {_AGAIN}",
    ),
    (r"LimitExceeded|quota|Too ?Many|Throttl|Rate exceeded", f"have the named quota raised or ask for less, {_AGAIN}"),
    (r"not empty|BucketNotEmpty", "empty the bucket (all versions), then ask again"),
    (r"DependencyViolation|dependen|in use", "remove what still uses it, then ask again"),
    (
        r"timed out|time-?out|did not respond",
        f"read the logs of the function or resource that did not answer, {_AGAIN}",
    ),
)


def way_out(reason: str) -> str:
    """What to do about AWS's reason."""
    for pattern, fix in _WAYS_OUT:
        if re.search(pattern, reason, re.IGNORECASE):
            return fix
    return f"mend what the reason names, {_AGAIN}"
