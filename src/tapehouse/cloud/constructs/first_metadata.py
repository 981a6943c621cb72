"""What an Iceberg table is before anything is in it, computed with the template: one table gives the same bytes always.

The column numbers, partitions and sort order are those that a run would give the table, so that it does not matter who
comes first.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from tapehouse.cloud.datasets import Dataset
from tapehouse.lake.iceberg import birth
from tapehouse.lake.spec import TableSpec
from tapehouse.runs import tables

HOUSE_TABLES = (
    tables.RUNS,
    tables.BATCHES,
    tables.METRICS,
    tables.INTERVALS,
    tables.LINEAGE,
    tables.MARKS,
    tables.EXPIRED,
)


def first_metadata(spec: TableSpec, location: str) -> dict[str, Any]:
    """The table's metadata without a snapshot, at that s3:// location; last updated in 1970, for synthesis knows no
    time.
    """
    # Not made of the location, of which only the place in a template is known here.
    table_uuid = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:tapehouse:{spec.identifier}")
    return birth.initial_metadata(spec, location, 0, table_uuid)


def specs_of(datasets: Sequence[Dataset]) -> Iterator[TableSpec]:
    """Every table of a lake of those datasets: theirs, then the house's."""
    for dataset in datasets:
        contract = dataset.contract
        yield tables.curated_spec(contract)
        yield tables.quarantine_spec(contract)
        yield tables.duplicates_spec(contract)
        for derivation in contract.derived:
            yield tables.derived_spec(contract, derivation)
    yield from HOUSE_TABLES
