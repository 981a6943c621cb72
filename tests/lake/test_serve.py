"""The REST catalogue as pyiceberg's client sees it: reading, tables of its own, commits at once and in order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.types import StringType

from tapehouse.lake import disk
from tapehouse.lake.compact import compact
from tapehouse.lake.expire import expire
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import PublicationPendingError, publish
from tapehouse.lake.query import query
from tapehouse.lake.serve.server import CatalogueServer
from tapehouse.lake.spec import Staged

from .serving import NOTES, ask, rows, serving
from .support import TRADES, Bench, trades


def test_a_client_lists_loads_and_scans(client: RestCatalog, bench: Bench) -> None:
    assert client.list_namespaces() == [("tapehouse",), ("trades",)]
    assert client.list_namespaces("trades") == []
    assert client.list_tables("trades") == [("trades", "curated")]
    assert client.load_namespace_properties("trades") == {"exists": "true"}
    assert client.namespace_exists("trades")
    assert not client.namespace_exists("quotes")
    assert client.table_exists("trades.curated")
    assert not client.table_exists("trades.other")
    table = client.load_table("trades.curated")
    assert table.metadata_location == bench.table().ice.metadata_location
    assert table.metadata == bench.table().ice.metadata
    scanned = pl.DataFrame(table.scan().to_arrow()).sort("trade_id")
    held = pl.DataFrame(query(bench.lake, "SELECT * FROM trades.curated")).sort("trade_id")
    assert scanned.equals(held)
    bench.run("r2", trades(10, 5))
    assert table.refresh().scan().count() == 15


def test_what_is_not_there(client: RestCatalog) -> None:
    with pytest.raises(NoSuchTableError, match=r"trades\.other"):
        client.load_table("trades.other")
    for missing in (lambda: client.list_tables("quotes"), lambda: client.load_namespace_properties(("a", "b"))):
        with pytest.raises(NoSuchNamespaceError):
            missing()


def test_a_lake_without_a_catalogue_yet(lake: Lake) -> None:
    with serving(lake, writable=False) as server:
        client = RestCatalog("lake", uri=server.uri)
        assert client.list_namespaces() == []
        with pytest.raises(NoSuchTableError):
            client.load_table("trades.curated")
        with pytest.raises(NoSuchNamespaceError):
            client.list_tables("trades")


def test_a_table_of_the_clients_own(client: RestCatalog, notes: Any, bench: Bench) -> None:
    with pytest.raises(NamespaceAlreadyExistsError):
        client.create_namespace("desk")
    with pytest.raises(TableAlreadyExistsError):
        client.create_table("desk.notes", NOTES)
    notes.append(rows(2, 3))
    with notes.update_schema() as update:
        update.add_column("desk", StringType())
    notes.delete("id = 1")
    told = query(bench.lake, "SELECT * FROM desk.notes ORDER BY id").to_pylist()
    assert told == [{"id": 2, "note": "", "desk": None}, {"id": 3, "note": "n3", "desk": None}]
    table = bench.lake.table("desk", "notes")
    assert table is not None
    notes.append(pa.table({"id": [4], "note": ["n4"], "desk": ["fx"]}))
    compact(bench.lake, table)
    expire(bench.lake, table, keep_last=1)
    assert notes.refresh().scan().to_arrow().sort_by("id").column("desk").to_pylist() == [None, None, "fx"]
    bench.run("r2", trades(10, 5))
    assert len(bench.ids()) == 15


def test_a_table_made_with_its_first_rows(client: RestCatalog, bench: Bench) -> None:
    client.create_namespace("desk")
    with client.create_table_transaction("desk.notes", NOTES) as transaction:
        assert "desk.notes" not in bench.lake.names()
        transaction.append(rows(1, 2))
    assert query(bench.lake, "SELECT sum(id) FROM desk.notes").to_pylist() == [{"sum(id)": 3}]
    with pytest.raises(TableAlreadyExistsError):
        client.create_table_transaction("desk.notes", NOTES)


def test_made_twice_at_once(client: RestCatalog) -> None:
    client.create_namespace("desk")
    late = client.create_table_transaction("desk.notes", NOTES)
    client.create_table("desk.notes", NOTES).append(rows(1))
    late.append(rows(2))
    with pytest.raises(CommitFailedException):
        late.commit_transaction()
    assert client.load_table("desk.notes").scan().count() == 1


def test_the_second_of_two_commits_is_refused_and_its_retry_is_not(client: RestCatalog, notes: Any) -> None:
    stale = client.load_table("desk.notes")
    notes.update_schema().add_column("a", StringType()).commit()
    with pytest.raises(CommitFailedException):
        stale.update_schema().add_column("b", StringType()).commit()
    stale.refresh().update_schema().add_column("b", StringType()).commit()
    after = client.load_table("desk.notes")
    assert after.scan().to_arrow().column_names == ["id", "note", "a", "b"]
    assert after.scan().count() == 1


def test_a_commit_on_a_snapshot_that_is_no_longer_the_present_one(server: CatalogueServer, notes: Any) -> None:
    before = notes.current_snapshot().snapshot_id
    notes.append(rows(2))
    requirement = {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": before}
    update = {"action": "set-properties", "updates": {"a": "b"}}
    body = json.dumps({"requirements": [requirement], "updates": [update]})
    status, told = ask(server, "POST", "/v1/namespaces/desk/tables/notes", body)
    assert (status, told["error"]["type"]) == (409, "CommitFailedException")
    assert "a" not in notes.refresh().properties


def test_many_at_once_lose_nothing(server: CatalogueServer, notes: Any, bench: Bench) -> None:
    failed: list[Exception] = []

    def append(number: int) -> None:
        table = RestCatalog("lake", uri=server.uri).load_table("desk.notes")
        while True:
            try:
                table.refresh().append(rows(number))
            except CommitFailedException:
                continue
            except Exception as error:
                failed.append(error)
            return

    threads = [threading.Thread(target=append, args=(number,)) for number in range(2, 8)]
    for thread in threads:
        thread.start()
    bench.run("r2", trades(10, 5))
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert notes.refresh().scan().to_arrow().sort_by("id").column("id").to_pylist() == list(range(1, 8))
    assert len(bench.ids()) == 15


def test_old_metadata_goes_as_new_comes(client: RestCatalog, notes: Any, bench: Bench) -> None:
    """Spark's client leaves that to the catalogue; pyiceberg's does it too, so ask for what it is told to keep."""
    for number in range(2, 10):
        notes.append(rows(number))
    kept = list((bench.lake.warehouse / "desk" / "notes" / "metadata").glob("*.metadata.json"))
    assert len(kept) == 6


def test_all_that_a_commit_names_is_on_disk_before_it_is_seen(
    notes: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines write their files as they like; none but the catalogue can make sure of them."""
    synced, seen_then = set[Path](), set[str]()
    sync = disk.sync_files

    def watched(paths: Iterable[Path], *, root: Path) -> None:
        synced.update(paths)
        seen_then.add(metadata())
        sync(paths, root=root)

    def metadata() -> str:
        table = bench.lake.table("desk", "notes")
        assert table is not None
        return str(table.ice.metadata_location)

    before = metadata()
    monkeypatch.setattr(disk, "sync_files", watched)
    notes.append(rows(2, 3))
    snapshot = notes.current_snapshot()
    added = [one for one in snapshot.manifests(notes.io) if one.added_snapshot_id == snapshot.snapshot_id]
    data = [entry.data_file.file_path for one in added for entry in one.fetch_manifest_entry(notes.io)]
    assert len(data) == 1
    assert synced == {Path(path) for path in (snapshot.manifest_list, *(one.manifest_path for one in added), *data)}
    assert seen_then == {before}


def test_a_commit_finishes_a_decided_run_first(client: RestCatalog, notes: Any, bench: Bench) -> None:
    def dies(step: str) -> None:
        if step == "after trades.curated":
            raise OSError(5, "input/output error")

    with bench.lake.lock(), bench.lake.staging("r2"):
        staged = Staged(TRADES, (bench.file("r2", trades(10, 5)),))
        with pytest.raises(PublicationPendingError):
            publish(bench.lake, "r2", [staged], {}, fault=dies)
    assert len(list(bench.lake.journal.iterdir())) == 1
    notes.append(rows(2))
    assert list(bench.lake.journal.iterdir()) == []
    assert len(bench.ids()) == 15
