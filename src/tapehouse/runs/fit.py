"""Whether a lake can take a contract: asked before any row is read, and again under the lock."""

from __future__ import annotations

from tapehouse.contracts.model import Contract
from tapehouse.errors import LakeError
from tapehouse.lake.home import Lake
from tapehouse.lake.spec import TableSpec
from tapehouse.runs.tables import OWNER, curated_spec, derived_spec, namespace, quarantine_spec


def check_fit(lake: Lake, contract: Contract) -> None:
    """Raises LakeError where the lake's tables of the contract's name cannot become those that it asks for.

    They belong to another contract, are partitioned in another way, hold a column of another type, or lack a column
    that the key now compares. Costs a look at the catalogue when there are no such tables.
    """
    curated = curated_spec(contract)
    for spec in (curated, quarantine_spec(contract)):
        _check_owner(lake, contract, spec)
    table = lake.table(curated.namespace, curated.name)
    if table is None:
        return
    _check_table(lake, curated)
    key = contract.key
    for name in () if key is None else (*key.columns, *key.keep_first_by):
        if name not in table.schema.names:
            raise LakeError(
                f"the key compares column {name}, which {table.identifier} does not have",
                fix="keep the key's columns under their names (tapehouse.source renames the file's), or use a new lake",
            )
    for derivation in contract.derived:
        _check_table(lake, derived_spec(contract, derivation))


def _check_owner(lake: Lake, contract: Contract, spec: TableSpec) -> None:
    """Names that differ in case or in `-` and `_` alone give the same namespace."""
    table = lake.table(spec.namespace, spec.name)
    owner = contract.name if table is None else table.properties.get(OWNER, contract.name)
    if owner != contract.name:
        raise LakeError(
            f"contract {contract.name} would share the tables {namespace(contract)}.* with contract {owner}",
            fix="rename one of them: apart from case, - and _ are the same in a table's name; or use a new lake",
        )


def _check_table(lake: Lake, spec: TableSpec) -> None:
    from tapehouse.lake.iceberg import commits

    table = commits.load(lake.catalog, spec)
    if table is not None:
        commits.fits(table, spec)
