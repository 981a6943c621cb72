"""A queue of documents as objects, for a lake whose folder is gone when the run is over."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse.errors import LakeError
from tapehouse.lake.s3.objects import Objects
from tapehouse.observe.spool import Drained


@dataclass(frozen=True, slots=True)
class ObjectSpool:
    """One object for each document below `folder`, named by when it came. Each is sent at least once, in that order;
    of two processes that drain at the same time both may send one.
    """

    objects: Objects
    folder: str

    @property
    def path(self) -> str:
        """Where they are."""
        return f"{self.objects.uri}/{self.folder}"

    def add(self, document: Mapping[str, Any]) -> None:
        """Keep `document`; OSError if it cannot be kept."""
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str).encode()
        try:
            self.objects.put(f"{self.folder}/{time.time_ns():020d}-{uuid.uuid4().hex}.json", body)
        except LakeError as error:
            raise OSError(error.message) from error

    def drain(self, send: Callable[[dict[str, Any]], bool]) -> Drained:
        """Offer every waiting document to `send`, oldest first, until it returns False; what was not taken stays."""
        sent, names = 0, sorted(one.name for one in self.objects.listed(f"{self.folder}/"))
        for name in names:
            found = self.objects.get(name)
            if found is not None:
                if not send(json.loads(found.body)):
                    break
                self.objects.delete([name])
            sent += 1
        return Drained(sent=sent, kept=len(names) - sent)
