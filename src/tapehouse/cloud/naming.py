"""Every physical name of a deployment, from one place.

The grammar is application-service-purpose-environment-suffix-region, with the account before the region for buckets,
whose names are the world's. Account and region are CloudFormation's pseudo parameters: one template serves every
account and region. Where a limit bites, the purpose is cut and gets a hash of what it was.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from tapehouse.cloud.settings import Settings
from tapehouse.errors import UsageError

ACCOUNT = "${AWS::AccountId}"
REGION = "${AWS::Region}"
# What the pseudo parameters may become: twelve digits, and the longest name that a region has.
_ROOM = {ACCOUNT: 12, REGION: 14}
_HASH = 6
BUCKET_LIMIT = 63
ROLE_LIMIT = 64
NAME_LIMIT = 64
_PURPOSE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


@dataclass(frozen=True, slots=True)
class Naming:
    """Names of one blueprint's deployment. `service` tells blueprints of one application apart."""

    application: str
    service: str
    environment: str
    suffix: str

    @classmethod
    def of(cls, settings: Settings, service: str) -> Naming:
        """The names of these settings."""
        return cls(settings.application, service, settings.environment.value, settings.suffix)

    def text(self, purpose: str, *, limit: int = NAME_LIMIT) -> str:
        """A physical name for `Fn::Sub`, at most `limit` characters once its region is known; hyphenated."""
        return self._fit(purpose, f"-{self.environment}-{self.suffix}-{REGION}", limit)

    def bucket_text(self, purpose: str) -> str:
        """A bucket's name for `Fn::Sub`."""
        return self._fit(purpose, f"-{self.environment}-{self.suffix}-{ACCOUNT}-{REGION}", BUCKET_LIMIT)

    def name(self, purpose: str, *, limit: int = NAME_LIMIT) -> str:
        """`text` as a token of the CDK."""
        return _sub(self.text(purpose, limit=limit))

    def bucket(self, purpose: str) -> str:
        """`bucket_text` as a token of the CDK."""
        return _sub(self.bucket_text(purpose))

    def identifier(self, purpose: str = "") -> str:
        """A name of letters, digits and underscores, for Glue and Athena; each region has its own catalogue."""
        parts = [self.application, self.service, purpose, self.environment, self.suffix]
        return re.sub(r"[^a-z0-9]+", "_", "_".join(part for part in parts if part).lower())

    def stack(self, purpose: str = "") -> str:
        """Name of a stack: no pseudo parameters, for it is needed before there is a template."""
        parts = [self.application, self.service, purpose, self.environment, self.suffix]
        return "-".join(part for part in parts if part)

    def assets_text(self) -> str:
        """The bucket that holds what templates refer to: code, layers, releases."""
        return self.bucket_text("assets")

    def export(self, output: str) -> str:
        """Export name of an output, with the environment and suffix."""
        return f"{self.stack()}-{output}"

    def _fit(self, purpose: str, tail: str, limit: int) -> str:
        if not _PURPOSE.match(purpose):
            raise UsageError(f"{purpose!r} cannot be part of a name", fix="use lower-case words joined with hyphens")
        head = f"{self.application}-{self.service}-"
        room = limit - len(head) - _length(tail)
        if len(purpose) <= room:
            return head + purpose + tail
        kept = room - _HASH - 1
        if kept < 1:
            raise UsageError(
                f"no room for a purpose in a name of at most {limit} characters: {head}...{tail}",
                fix="shorten the application or the suffix",
            )
        digest = hashlib.sha256(purpose.encode()).hexdigest()[:_HASH]
        return f"{head}{purpose[:kept].rstrip('-')}-{digest}{tail}"


def _length(text: str) -> int:
    for pseudo, room in _ROOM.items():
        text = text.replace(pseudo, "x" * room)
    return len(text)


def _sub(text: str) -> str:
    from aws_cdk import Fn

    return str(Fn.sub(text))
