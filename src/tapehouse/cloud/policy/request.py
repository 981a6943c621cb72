"""Who asks for what, with which facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapehouse.cloud.policy.documents import PolicyError, texts


@dataclass(frozen=True, slots=True)
class Caller:
    """A role, a user, an AWS service or nobody known.

    `arn` is the role's or user's own ARN (not the session's) and empty for services and the anonymous; `session` is
    the name of a role session, where the policies may see it; `service` is such as `sns.amazonaws.com`.
    """

    arn: str = ""
    account: str = ""
    service: str = ""
    session: str = ""

    @classmethod
    def role(cls, arn: str, session: str = "session") -> Caller:
        """By ARN of the role; the account is read from it."""
        return cls(arn=arn, account=account_of(arn), session=session)

    @classmethod
    def user(cls, arn: str) -> Caller:
        """By ARN of the user; the account is read from it."""
        return cls(arn=arn, account=account_of(arn))

    @classmethod
    def of_service(cls, name: str) -> Caller:
        """An AWS service acting for itself, such as `events.amazonaws.com`."""
        return cls(service=name)

    @property
    def session_arn(self) -> str:
        """The ARN of the role session; empty for who is no role."""
        if ":role/" not in self.arn or not self.session:
            return ""
        partition = self.arn.split(":")[1]
        return f"arn:{partition}:sts::{self.account}:assumed-role/{self.arn.rpartition('/')[2]}/{self.session}"


def account_of(arn: str) -> str:
    """The account of an ARN; empty where the service's ARNs have none (S3)."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise PolicyError(f"{arn!r} is no ARN", fix="write arn:<partition>:<service>:<region>:<account>:<resource>")
    return parts[4]


@dataclass(frozen=True, slots=True)
class Request:
    """One call. Context keys are compared without case; a key that is absent is absent, as AWS has it.

    `owner` is the account the resource belongs to; by default the account in its ARN, or the caller's.
    """

    caller: Caller
    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""

    def __post_init__(self) -> None:
        if ":" not in self.action:
            raise PolicyError(f"{self.action!r} is no action", fix="write service:Operation, such as s3:GetObject")

    @property
    def resource_account(self) -> str:
        if self.owner:
            return self.owner
        parts = self.resource.split(":", 5)
        return (parts[4] if len(parts) == 6 else "") or self.caller.account

    def facts(self) -> Mapping[str, Sequence[str]]:
        """Context with lower-case keys: what AWS adds by itself, and then what the request says."""
        caller = self.caller
        known: dict[str, Any] = {
            "aws:principalisawsservice": bool(caller.service),
            "aws:resourceaccount": self.resource_account,
            "aws:securetransport": True,
        }
        if caller.arn:
            known["aws:principalarn"] = caller.arn
            known["aws:principalaccount"] = caller.account
            known["aws:principaltype"] = "AssumedRole" if ":role/" in caller.arn else "User"
            known["kms:calleraccount"] = caller.account
        if caller.service:
            known["aws:principalservicename"] = caller.service
        known.update({key.lower(): value for key, value in self.context.items()})
        if self.action.lower().startswith("s3:") and known["aws:securetransport"] in (True, "true"):
            known.setdefault("s3:tlsversion", "1.3")
        return {key: texts(value) for key, value in known.items() if value is not None}
