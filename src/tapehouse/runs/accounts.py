"""The present account of each batch: what its latest full run proved, and what replays and discards changed since."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from tapehouse.errors import UsageError
from tapehouse.kernel.fingerprint import Tally
from tapehouse.lake.home import Lake
from tapehouse.runs.proof import Proof, tally_of
from tapehouse.runs.read import house_table
from tapehouse.runs.tables import BATCHES, EXPIRED, MARKS, RUNS

REPLAY = "replay"
# Marks that take a record out of quarantine into another place; a discarded record stays where it is, closed.
LEAVING = ("replayed", "duplicate", "filtered")


@dataclass(frozen=True, slots=True)
class BatchAccount:
    """`proof` adds the replays' parts to the full run's; `left` are records that left quarantine (`_batch`, `_row`);
    `run_ids` are the runs whose quarantine and duplicate rows count.
    """

    contract: str
    digest: str
    origin: str
    contract_digest: str
    run_ids: tuple[str, ...]
    proof: Proof
    left: pl.DataFrame
    expired: Mapping[str, Tally] = field(default_factory=dict)

    def present(self, place: str) -> Tally:
        """What a place (`curated`, `quarantined`, ..) must hold now: what was proved less what retention removed."""
        held, gone = self.proof.parts.get(place, Tally()), self.expired.get(place, Tally())
        return held - gone

    @property
    def records(self) -> int:
        """Records of the batch."""
        return self.proof.records

    @property
    def open_quarantine(self) -> int:
        """Records that are in quarantine and did not leave it."""
        return self.proof.counts["quarantined"] - self.expired.get("quarantined", Tally()).rows

    @property
    def adds_up(self) -> bool:
        """Whether the counts of all places make up the batch."""
        return self.proof.records == sum(self.proof.counts.values())

    def describe(self) -> str:
        """The account in words."""
        return f"{self.records} records, " + ", ".join(f"{name} {count}" for name, count in self.proof.counts.items())


def accounts(lake: Lake, contract: str | None = None) -> Iterator[BatchAccount]:
    """Account of every batch that a published run took, by contract and digest."""
    runs = house_table(lake, RUNS).select("run_id", "kind", "contract_digest")
    rows = house_table(lake, BATCHES).join(runs, on="run_id", how="inner")
    marks = house_table(lake, MARKS).filter(pl.col("mark").is_in(list(LEAVING)))
    expired = house_table(lake, EXPIRED)
    if contract is not None:
        rows = rows.filter(pl.col("contract") == contract)
    ordered = rows.sort("contract", "digest", "knowledge_time", "run_id")
    for (name, digest), group in ordered.group_by("contract", "digest", maintain_order=True):
        mine = marks.filter((pl.col("contract") == name) & (pl.col("batch") == digest))
        gone = expired.filter((pl.col("contract") == name) & (pl.col("batch") == digest))
        yield _account(str(name), str(digest), group, mine, gone)


def _account(name: str, digest: str, group: pl.DataFrame, marks: pl.DataFrame, expired: pl.DataFrame) -> BatchAccount:
    entries = group.to_dicts()
    start = max(index for index, entry in enumerate(entries) if entry["kind"] != REPLAY)
    full, replays = entries[start], entries[start + 1 :]
    proof = Proof.from_dict(json.loads(full["proof"]))
    for replay in replays:
        proof = _after_replay(proof, Proof.from_dict(json.loads(replay["proof"])))
    counted = marks.filter(pl.col("run_id").is_in([replay["run_id"] for replay in replays]))
    return BatchAccount(
        name,
        digest,
        full["origin"],
        full["contract_digest"],
        (full["run_id"], *(replay["run_id"] for replay in replays)),
        proof,
        counted.select(pl.col("batch").alias("_batch"), pl.col("row").alias("_row")),
        _expired(expired.filter(pl.col("run_id") > full["run_id"])),
    )


def _expired(rows: pl.DataFrame) -> dict[str, Tally]:
    """Tallies that retention removed since the batch's latest full run, by place."""
    out: dict[str, Tally] = {}
    for place, tally in rows.select("place", "tally").iter_rows():
        out[place] = out.get(place, Tally()) + tally_of(json.loads(tally))
    return out


def _after_replay(before: Proof, replay: Proof) -> Proof:
    """Records that a replay moved leave quarantine for where it put them. Values of a record may differ under the new
    contract, so only counts are carried for the part they leave.
    """
    moved = {name: replay.parts[name] for name in ("curated", "duplicates", "filtered") if name in replay.parts}
    rows = sum(part.rows for part in moved.values())
    parts = {name: before.parts.get(name, Tally()) + moved.get(name, Tally()) for name in (*before.parts, *moved)}
    malformed = min(before.malformed, max(0, rows - before.parts.get("quarantined", Tally()).rows))
    left = parts.get("quarantined", Tally())
    parts["quarantined"] = Tally(left.rows - (rows - malformed), left.fingerprint, left.sums)
    return Proof(before.records, before.malformed - malformed, before.taken, parts)


def contract_name(lake: Lake, given: str = "") -> str:
    """The name given, or that of the lake's only contract. Raises UsageError where there are several or none."""
    if given:
        return given
    names = sorted({account.contract for account in accounts(lake)})
    if len(names) != 1:
        have = f"{len(names)} contracts: {', '.join(names)}" if names else "no batches yet"
        raise UsageError(f"the lake {lake.address} holds {have}", fix="name the contract" if names else "run one first")
    return names[0]
