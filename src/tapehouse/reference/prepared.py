"""Sessions of exchanges written down beforehand, for places that have no room for the library that computes them.

A folder holds `exchanges.json` (exchange: version of the library that made its sessions) and per exchange an array of
shape (sessions, 2): open and close of each in UTC nanoseconds, over all the years there are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tapehouse.errors import ReferenceDataError

INDEX = "exchanges.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """One exchange's sessions, and what made them."""

    version: str
    opens: npt.NDArray[np.int64]
    closes: npt.NDArray[np.int64]


_folder: Path | None = None


def use(folder: Path | None) -> None:
    """From now on, exchanges are looked up in that folder and nowhere else; None: in the library again."""
    global _folder
    _folder = folder
    _read.cache_clear()


def find(exchange: str) -> Prepared | None:
    """The sessions of an exchange; None where the library is to be asked.

    Raises ReferenceDataError for an exchange that was not prepared.
    """
    return None if _folder is None else _read(_folder, exchange)


@lru_cache(maxsize=64)
def _read(folder: Path, exchange: str) -> Prepared:
    try:
        versions = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        edges = np.load(folder / f"{exchange}.npy", allow_pickle=False)
        return Prepared(versions[exchange], np.ascontiguousarray(edges[:, 0]), np.ascontiguousarray(edges[:, 1]))
    except (OSError, KeyError, ValueError) as error:
        raise ReferenceDataError(
            f"{folder}: the sessions of exchange {exchange!r} were not prepared",
            fix="build and deploy the package again, with the contract that names the exchange",
        ) from error
