"""Writes exchanges' sessions for places where the calendar library is not: see `prepared`, which reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tapehouse.reference.calendars import exchange_sessions, exchange_version
from tapehouse.reference.prepared import INDEX


def write(folder: Path, exchanges: Iterable[str]) -> None:
    """Prepare some exchanges. Raises ContractError for one that the library does not have."""
    folder.mkdir(parents=True, exist_ok=True)
    versions = {}
    for exchange in sorted(set(exchanges)):
        known = exchange_sessions(exchange)
        np.save(folder / f"{exchange}.npy", np.stack([known.opens, known.closes], axis=1), allow_pickle=False)
        versions[exchange] = exchange_version(exchange)
    (folder / INDEX).write_text(json.dumps(versions, sort_keys=True), encoding="utf-8")
