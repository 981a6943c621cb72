"""What the reader of a stream knows: the mapping it reads for, where it stands in each shard, what it has taken."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from emulator.inside import allowed

_LOG = logging.getLogger("emulator.mappings")


@dataclass
class Batch:
    """Records of one shard, oldest first, and how often they were tried again."""

    records: list[dict[str, Any]]
    retries: int = 0


@dataclass
class Shard:
    """Where a mapping stands in a shard: `position` counts records from the oldest; `pending` are taken, not done."""

    position: int
    pending: deque[Batch] = field(default_factory=deque)
    not_before: float = 0.0


@dataclass
class Mapping:
    """One event source mapping in one pass: `esm` is ministack's record, `function` the function's."""

    esm: dict[str, Any]
    function: dict[str, Any]
    stream: dict[str, Any]

    @property
    def role(self) -> str:
        return str((self.function.get("config") or self.function)["Role"])

    @property
    def name(self) -> str:
        return str((self.function.get("config") or self.function)["FunctionName"])

    def limit(self, name: str, default: int = -1) -> int:
        """A number of the mapping; -1 is no limit."""
        return int(self.esm.get(name, default) if self.esm.get(name) is not None else default)

    def may(self, action: str, resource: str) -> bool:
        if allowed(self.role, self.name, action, resource):
            return True
        self.esm["LastProcessingResult"] = f"PROBLEM: {self.role} is not authorized to perform {action} on {resource}"
        _LOG.error("%s", self.esm["LastProcessingResult"])
        return False
