"""Contract texts in the lake: landed like batches, by digest, so that old proofs can be read again."""

from __future__ import annotations

from pathlib import Path

from tapehouse.contracts.load import loads
from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake


def keep_contract(lake: Lake, contract: Contract) -> None:
    """Land the contract's file. A contract made in memory, or changed on disk since it was loaded, has none to land."""
    source = Path(contract.source)
    if not lake.raw.has(contract.digest) and source.is_file() and lake.raw.digest(source) == contract.digest:
        lake.raw.land(source)


def contract_of(lake: Lake, digest: str) -> Contract | None:
    """The contract whose text has that digest, or None when the lake does not hold it."""
    if not lake.raw.has(digest):
        return None
    path = lake.raw.fetch(digest)
    return loads(path.read_text(encoding="utf-8"), source=str(path))
