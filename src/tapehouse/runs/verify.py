"""`verify`: re-derives every proof from what the lake holds, and says what does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from tapehouse.contracts.model import Contract, Derivation
from tapehouse.errors import UsageError
from tapehouse.feeds.base import BatchSource
from tapehouse.kernel.derive import derive, derived_columns
from tapehouse.kernel.fingerprint import Tally, batch_salt, tally_by_batch
from tapehouse.kernel.order import stored_order
from tapehouse.lake.home import Lake
from tapehouse.lake.table import File, LakeTable
from tapehouse.runs.accounts import BatchAccount, accounts
from tapehouse.runs.context import Progress, Silence
from tapehouse.runs.contracts import contract_of
from tapehouse.runs.findings import Finding, VerifyReport
from tapehouse.runs.judged import judged_rows, run_contracts
from tapehouse.runs.landed import TEXTS, read_again, text_hashes
from tapehouse.runs.read import canonical, read_files
from tapehouse.runs.tables import curated_spec, derived_spec, namespace_of

_T = TypeVar("_T")
__all__ = ["Finding", "VerifyReport", "verify"]


def verify(
    lake: Lake, *, contract: str | None = None, deep: bool = False, progress: Progress | None = None
) -> VerifyReport:
    """Check every batch's account against landed bytes and tables.

    For each batch: the landed bytes still have their digest; curated rows are as many, with the same fingerprint and
    sums, as its runs proved; quarantine and duplicates hold the records that the proofs count; no record is in two
    places, and together they are all records of the batch. `deep` also reads the landed bytes again, counts and
    fingerprints every record anew, compares texts and quarantined bytes with them, and recomputes derived tables.
    Raises UsageError when the lake holds nothing of the contract named.
    """
    report, watch = VerifyReport(), progress if progress is not None else Silence()
    by_contract: dict[str, list[BatchAccount]] = {}
    for account in accounts(lake, contract):
        by_contract.setdefault(account.contract, []).append(account)
    if contract is not None and not by_contract:
        known = sorted({account.contract for account in accounts(lake)})
        raise UsageError(
            f"no batch of a contract called {contract!r} was published", fix=f"known: {', '.join(known) or 'none'}"
        )
    for name, group in by_contract.items():
        watch.stage(f"verify {name}")
        _Verification(lake, name, group, report, watch).run(deep=deep)
    return report


class _Verification:
    """Verification of one contract's batches."""

    def __init__(
        self, lake: Lake, name: str, group: list[BatchAccount], report: VerifyReport, progress: Progress
    ) -> None:
        self._lake, self._name, self._accounts, self._report, self._progress = lake, name, group, report, progress
        self._by_digest = {account.digest: account for account in group}
        self._contracts: dict[str, Contract | None] = {}
        self._unreadable = set[Path]()
        self._batches_in: dict[Path, frozenset[str]] = {}

    def run(self, *, deep: bool) -> None:
        """All checks of the contract, cheap ones first."""
        self._report.batches += len(self._accounts)
        self._report.rows += sum(account.records for account in self._accounts)
        for account in self._accounts:
            if not account.adds_up:
                self._found(account.digest, f"its account does not add up: {account.describe()}")
            if "raw" not in account.expired and not self._lake.raw.verify(account.digest):
                self._found(account.digest, "landed bytes are missing or changed")
        placed = self._rows_of_tables()
        self._check_places(placed)
        self._check_kept(placed)
        self._check_curated()
        if deep:
            for account in self._accounts:
                self._check_landed(account)
            self._check_derived()

    def _found(self, subject: str, what: str) -> None:
        self._report.findings.append(Finding(self._name, subject[:12] if len(subject) == 64 else subject, what))

    def _contract(self, digest: str) -> Contract | None:
        if digest not in self._contracts:
            self._contracts[digest] = contract_of(self._lake, digest)
            if self._contracts[digest] is None:
                self._report.notes.append(f"contract text {digest[:12]} is not in the lake: values not re-derived")
        return self._contracts[digest]

    def _table(self, name: str) -> LakeTable | None:
        return self._lake.table(namespace_of(self._name), name)

    def _rows_of_tables(self) -> pl.DataFrame:
        """Where each record of the contract's batches lies: `_batch`, `_row`, `place`."""
        frames = [pl.DataFrame(schema={"_batch": pl.String, "_row": pl.Int64, "place": pl.String})]
        for place in ("curated", "quarantine", "duplicates"):
            for file in self._files(place):
                names = ["_batch", "_row"] if place == "curated" else ["_batch", "_row", "_run_id"]
                rows = self._read(file, partial(pl.read_parquet, columns=names))
                if rows is None:
                    continue
                self._batches_in[file.path] = frozenset(rows.get_column("_batch").cast(pl.String).unique())
                if place != "curated":
                    rows = self._current(rows)
                frames.append(rows.select(pl.col("_batch").cast(pl.String), "_row", pl.lit(place).alias("place")))
        marks = pl.concat(
            [pl.DataFrame(schema={"_batch": pl.String, "_row": pl.Int64})] + [a.left for a in self._accounts]
        )
        placed = pl.concat(frames)
        gone = marks.with_columns(pl.lit("quarantine").alias("place"))
        return placed.join(gone, on=["_batch", "_row", "place"], how="anti")

    def _check_kept(self, placed: pl.DataFrame) -> None:
        """A record may be dropped as a copy only while the row it copies is there, or expired by retention."""
        expired = [account.digest for account in self._accounts if "curated" in account.expired]
        curated = placed.filter(pl.col("place") == "curated").select("_batch", "_row")
        names = ["_batch", "_row", "_run_id", "_kept_batch", "_kept_row"]
        for file in self._files("duplicates"):
            rows = self._read(file, partial(pl.read_parquet, columns=names))
            if rows is None:
                continue
            copies = self._current(rows).filter(~pl.col("_kept_batch").is_in(expired))
            alone = copies.join(curated, left_on=["_kept_batch", "_kept_row"], right_on=["_batch", "_row"], how="anti")
            for (batch,), group in alone.group_by("_batch"):
                what = f"{group.height} records were dropped as copies of rows that are not curated"
                self._found(str(batch), f"{what}, first {group.sort('_row').item(0, '_row')}")

    def _current(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows that the batch's present account counts: a backfill supersedes what earlier runs wrote."""
        runs = [(account.digest, run_id) for account in self._accounts for run_id in account.run_ids]
        valid = pl.DataFrame(runs, schema={"_batch": pl.String, "_run_id": pl.String}, orient="row")
        return rows.join(valid, on=["_batch", "_run_id"], how="semi")

    def _files(self, name: str) -> list[File]:
        table = self._table(name)
        return [] if table is None else table.files()

    def _holding(self, name: str, digest: str) -> list[File]:
        """Data files of a table that hold rows of a batch."""
        return [file for file in self._files(name) if digest in self._batches_in.get(file.path, ())]

    def _read(self, file: File, read: Callable[[Path], _T]) -> _T | None:
        """What `read` gives of a data file; None, found once, where it is gone or damaged."""
        if file.path in self._unreadable:
            return None
        try:
            return read(self._lake.place.fetch([file.path])[0])
        except (OSError, pl.exceptions.PolarsError) as error:
            self._unreadable.add(file.path)
            what = "cannot be read" if self._lake.place.holds(file.path) else "is missing"
            self._found(file.path.parent.parent.parent.name, f"data file {file.path.name} {what}: {error}")
            return None

    def _check_places(self, placed: pl.DataFrame) -> None:
        counts = {(batch, place): count for batch, place, count in placed.group_by("_batch", "place").len().iter_rows()}
        twice = placed.group_by("_batch", "_row").agg(pl.len(), pl.col("place")).filter(pl.col("len") > 1)
        for batch, rows in twice.group_by("_batch"):
            first = rows.sort("_row").row(0, named=True)
            self._found(
                str(batch[0]), f"{rows.height} records lie in two places, first {first['_row']} {first['place']}"
            )
        for account in self._accounts:
            expected = {
                "curated": account.present("curated").rows,
                "quarantine": account.open_quarantine,
                "duplicates": account.proof.counts["duplicates"],
            }
            for place, wanted in expected.items():
                seen = counts.get((account.digest, place), 0)
                if seen != wanted:
                    self._found(account.digest, f"{place} holds {seen} of its records, its proof says {wanted}")
        strangers = set(placed.get_column("_batch").unique()) - set(self._by_digest)
        for digest in sorted(strangers):
            self._found(digest, "rows of a batch that no published run names")

    def _check_curated(self) -> None:
        """Values: count, sums and fingerprint of curated rows, batch by batch."""
        digests = [account.digest for account in self._accounts]
        salts = np.array([batch_salt(digest) for digest in digests], np.uint64)
        numbers = {digest: index for index, digest in enumerate(digests)}
        seen = dict[int, Tally]()
        for file in self._files("curated"):
            for contract, rows in self._read(file, self._judged) or ():
                ordinals = (
                    pl.col("_batch").cast(pl.String).replace_strict(numbers, default=None, return_dtype=pl.UInt32)
                )
                known = rows.with_columns(ordinals).filter(pl.col("_batch").is_not_null())
                for batch, part in tally_by_batch(known, contract.columns, salts).items():
                    seen[batch] = seen.get(batch, Tally()) + part
            self._progress.advance(file.rows, file.bytes)
        if None in self._contracts.values():
            return
        for index, account in enumerate(self._accounts):
            wanted, got = account.present("curated"), seen.get(index, Tally())
            if wanted.fingerprint != got.fingerprint or dict(wanted.sums) != {
                **dict.fromkeys(wanted.sums, 0),
                **got.sums,
            }:
                self._found(
                    account.digest,
                    f"curated values differ from the proof: fingerprint {got.fingerprint:016x} sums {dict(got.sums)}, "
                    f"proved {wanted.fingerprint:016x} sums {dict(wanted.sums)}",
                )

    def _judged(self, path: Path) -> list[tuple[Contract, pl.DataFrame]]:
        return list(judged_rows(path, self._runs, self._contract, self._latest))

    @property
    def _latest(self) -> str:
        """Digest of the contract of the latest full run."""
        return max(self._accounts, key=lambda account: account.run_ids[0]).contract_digest

    @cached_property
    def _runs(self) -> pl.DataFrame:
        return run_contracts(self._lake, self._name)

    def _check_landed(self, account: BatchAccount) -> None:
        """Read the landed bytes again: every record counted and fingerprinted anew."""
        contract = self._contract(account.contract_digest)
        if contract is None or not self._lake.raw.has(account.digest):
            return
        path = self._lake.raw.fetch(account.digest)
        source = BatchSource(path, account.digest, account.origin, path.stat().st_size)
        records, taken, proof = 0, Tally(), account.proof
        texts, raws = list[int](), list[int]()
        for part in read_again(contract, source, *self._held(contract, account)):
            records, taken = records + part.records, taken + part.taken
            texts.extend(part.other_text)
            raws.extend(part.other_bytes)
            self._progress.advance(part.records, 0)
        for what, rows in (("curated rows hold other text", texts), ("quarantine rows hold other bytes", raws)):
            if rows:
                self._found(account.digest, f"{len(rows)} {what} than was landed, first record {rows[0]}")
        if (records, taken.rows) != (proof.records, proof.taken.rows):
            now, then = f"{records} records ({taken.rows} whole)", f"{proof.records} ({proof.taken.rows})"
            self._found(account.digest, f"its landed bytes now hold {now}, proved were {then}")
        elif taken.fingerprint != proof.taken.fingerprint:
            self._found(account.digest, "its landed bytes now read as other values than were proved")

    def _held(self, contract: Contract, account: BatchAccount) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Text hashes of a batch's curated rows, and bytes of its quarantined ones. Replayed rows are left out of the
        first: they were read under another contract, by which an empty text may have been something else.
        """
        schema, mine = curated_spec(contract).schema, pl.col("_batch") == account.digest
        texts = [pl.DataFrame(schema={"_row": pl.Int64, TEXTS: pl.UInt64})]
        for file in self._holding("curated", account.digest):
            rows = self._read(file, lambda path: read_files([path], schema).filter(mine))
            if rows is not None and rows.height:
                texts.append(rows.select("_row", text_hashes(contract, rows)))
        raws = [pl.DataFrame(schema={"_row": pl.Int64, "_raw": pl.Binary})]
        for file in self._holding("quarantine", account.digest):
            kept = self._read(file, partial(pl.read_parquet, columns=["_batch", "_row", "_run_id", "_raw"]))
            if kept is not None:
                raws.append(self._current(kept.filter(mine)).select("_row", "_raw"))
        return pl.concat(texts).join(account.left, on="_row", how="anti"), pl.concat(raws)

    def _check_derived(self) -> None:
        contract = self._contract(self._latest)
        if contract is None:
            return
        curated = _by_partition(self._files("curated"))
        for derivation in contract.derived:
            stored = _by_partition(self._files(derivation.name))
            for label in sorted({*curated, *stored}):
                self._check_partition(contract, derivation, label, curated.get(label, []), stored.get(label, []))

    def _check_partition(
        self, contract: Contract, derivation: Derivation, label: str, curated: list[File], stored: list[File]
    ) -> None:
        """One partition of a derived table against what its curated rows give now."""
        source, target = curated_spec(contract).schema, derived_spec(contract, derivation).schema
        rows = [self._read(file, lambda path: read_files([path], source)) for file in curated]
        held = [self._read(file, lambda path: read_files([path], target)) for file in stored]
        given, kept = [part for part in rows if part is not None], [part for part in held if part is not None]
        if len(given) < len(curated) or len(kept) < len(stored):
            return
        names = [column.name for column in derived_columns(contract, derivation)]
        whole = pl.concat([read_files([], source), *given])
        fresh = canonical(derive(contract, derivation, stored_order(contract, whole)).select(names))
        if not pl.concat([read_files([], target), *kept]).select(names).sort(names).equals(fresh.sort(names)):
            self._found(f"{derivation.name} {label}", "differs from what its curated rows give")


def _by_partition(files: Iterable[File]) -> Mapping[str, list[File]]:
    out: dict[str, list[File]] = {}
    for file in files:
        out.setdefault(file.partition.label, []).append(file)
    return out
