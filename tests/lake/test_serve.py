"""The REST catalogue: pyiceberg as a client, the protocol's errors, who may ask, and what others may write."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    BadRequestError,
    CommitFailedException,
    ForbiddenError,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
    UnauthorizedError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import BucketTransform, IdentityTransform
from pyiceberg.types import StringType

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake import disk
from tapehouse.lake.compact import compact
from tapehouse.lake.expire import expire
from tapehouse.lake.home import Lake
from tapehouse.lake.iceberg.schemas import to_iceberg
from tapehouse.lake.publish import PublicationPendingError, publish
from tapehouse.lake.query import query
from tapehouse.lake.serve.server import Access, CatalogueServer
from tapehouse.lake.spec import RUN_ID, Staged

from .support import TRADES, Bench, trades

NOTES = pa.schema([pa.field("id", pa.int64()), pa.field("note", pa.large_string())])
PRICE = pl.col("price").cast(pl.Decimal(18, 6))
TOKEN = "a token that is long enough"


@contextmanager
def serving(
    lake: Lake, *, writable: bool = True, token: str = "", host: str = "127.0.0.1"
) -> Iterator[CatalogueServer]:
    home = Lake.open(lake.root, create=False, read_only=not writable)
    with CatalogueServer(home, host, 0, Access(token, writable=writable)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(bench: Bench) -> Iterator[CatalogueServer]:
    """A writable server over a lake with ten trades."""
    bench.run("r1", trades(0, 10))
    with serving(bench.lake) as made:
        yield made


@pytest.fixture
def client(server: CatalogueServer) -> RestCatalog:
    return RestCatalog("lake", uri=server.uri)


@pytest.fixture
def notes(client: RestCatalog) -> Any:
    """A table of the client's own, with one row."""
    client.create_namespace("desk")
    table = client.create_table("desk.notes", NOTES)
    table.append(rows(1))
    return table


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": list(ids), "note": [f"n{one}" if one % 2 else "" for one in ids]}, schema=NOTES)


def ask(server: CatalogueServer, method: str, path: str, body: bytes | str = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content) if content else None


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


def test_read_only(bench: Bench) -> None:
    bench.run("r1", trades(0, 10))
    before = sorted(bench.lake.root.rglob("*"))
    with serving(bench.lake, writable=False) as server:
        client = RestCatalog("lake", uri=server.uri)
        table = client.load_table("trades.curated")
        assert table.scan().count() == 10
        refusals: list[Callable[[], object]] = [
            lambda: client.create_namespace("desk"),
            lambda: client.create_table("trades.notes", NOTES),
            lambda: table.transaction().set_properties(a="b").commit_transaction(),
        ]
        for refused in refusals:
            with pytest.raises(ForbiddenError, match="read-only"):
                refused()
        assert ask(server, "POST", "/v1/namespaces/trades/tables/curated/metrics", "{}") == (204, None)
    assert sorted(bench.lake.root.rglob("*")) == before


def test_token(bench: Bench) -> None:
    bench.run("r1", trades(0, 10))
    with serving(bench.lake, token=TOKEN) as server:
        assert RestCatalog("lake", uri=server.uri, token=TOKEN).load_table("trades.curated").scan().count() == 10
        for given in ({}, {"token": "another that is long enough"}, {"token": TOKEN + "x"}):
            with pytest.raises(UnauthorizedError):
                RestCatalog("lake", uri=server.uri, **given)
        status, told = ask(server, "GET", "/v1/config", Authorization=f"Basic {TOKEN}")
        assert (status, told["error"]["type"], told["error"]["code"]) == (401, "NotAuthorizedException", 401)


def test_where_it_may_listen(bench: Bench) -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(UsageError, match="other machines"), serving(bench.lake, host=host):
            pass
    with pytest.raises(UsageError, match="characters"), serving(bench.lake, token="short"):
        pass
    with serving(bench.lake, host="0.0.0.0", token=TOKEN) as server:
        assert ask(server, "GET", "/v1/config", Host="lake.example", Authorization=f"Bearer {TOKEN}")[0] == 200
    with serving(bench.lake) as server, pytest.raises(LakeError, match="cannot listen"):
        CatalogueServer(bench.lake, "127.0.0.1", server.server_port, Access())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8181"}, 200),
        ({"Host": "[::1]:8181"}, 200),
        ({"Host": "attacker.example:8181"}, 403),
        ({"Host": "127.0.0.1.attacker.example"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_web_pages_are_kept_out(server: CatalogueServer, headers: dict[str, str], status: int) -> None:
    assert ask(server, "GET", "/v1/config", **headers)[0] == status


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "/", "", 404, "NoSuchEndpointException"),
        ("GET", "/v1/nothing", "", 404, "NoSuchEndpointException"),
        ("GET", "/v1/namespaces/trades/views", "", 404, "NoSuchEndpointException"),
        ("PUT", "/v1/config", "", 405, "MethodNotAllowedException"),
        ("GET", "/v1/namespaces/quotes", "", 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces?parent=quotes", "", 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces/trades/tables/x", "", 404, "NoSuchTableException"),
        ("DELETE", "/v1/namespaces/trades/tables/curated", "", 501, "UnsupportedOperationException"),
        ("POST", "/v1/tables/rename", "{}", 501, "UnsupportedOperationException"),
        ("POST", "/v1/transactions/commit", "{}", 501, "UnsupportedOperationException"),
        ("POST", "/v1/namespaces", "{not json", 400, "BadRequestException"),
        ("POST", "/v1/namespaces", b"\xff\xfe", 400, "BadRequestException"),
        ("POST", "/v1/namespaces", "[" * 100_000, 400, "BadRequestException"),
        ("POST", "/v1/namespaces", "[]", 400, "BadRequestException"),
        ("POST", "/v1/namespaces", "{}", 400, "BadRequestException"),
        ("POST", "/v1/namespaces", '{"namespace": ["a", "b"]}', 400, "BadRequestException"),
        ("POST", "/v1/namespaces", '{"namespace": ["../a"]}', 400, "BadRequestException"),
        ("POST", "/v1/namespaces", '{"namespace": ["a"], "properties": {"x": 1}}', 400, "BadRequestException"),
        ("POST", "/v1/namespaces/trades/tables", "{}", 400, "BadRequestException"),
        ("POST", "/v1/namespaces/trades/tables/curated", '{"updates": [{"action": "x"}]}', 400, "BadRequestException"),
        ("POST", "/v1/namespaces/trades/tables/x", '{"requirements": [], "updates": []}', 404, "NoSuchTableException"),
    ],
)
def test_errors_have_the_protocols_form(
    server: CatalogueServer, method: str, path: str, body: str, status: int, kind: str
) -> None:
    code, told = ask(server, method, path, body)
    assert (code, told["error"]["code"], told["error"]["type"]) == (status, status, kind)
    assert told["error"]["message"]


def test_requests_that_are_not_http(server: CatalogueServer) -> None:
    assert ask(server, "GET", "/v1/config", Content_Length="x")[0] == 400
    assert ask(server, "GET", "/v1/config", Content_Length="9" * 5000)[0] == 400
    assert ask(server, "POST", "/v1/namespaces", Content_Length=str(1 << 30))[0] == 400
    assert ask(server, "POST", "/v1/namespaces", Transfer_Encoding="chunked")[0] == 400
    assert ask(server, "BREW", "/v1/config")[0] == 501
    assert ask(server, "GET", "/v1/config")[0] == 200


def test_one_connection_serves_many_requests(server: CatalogueServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    seen = []
    for method, path, body in (
        ("POST", "/v1/namespaces", "{"),
        ("HEAD", "/v1/namespaces/x", ""),
        ("GET", "/v1/config", ""),
    ):
        connection.request(method, path, body)
        response = connection.getresponse()
        seen.append((response.status, len(response.read()) > 0))
    assert seen == [(400, True), (404, False), (200, True)]
    connection.close()


def test_the_books_are_not_for_others(client: RestCatalog) -> None:
    table = client.load_table("tapehouse.runs")
    with pytest.raises(ForbiddenError, match="books"):
        table.append(pa.table({"run_id": ["x"]}, schema=pa.schema([pa.field("run_id", pa.string(), nullable=False)])))
    with pytest.raises(ForbiddenError, match="books"):
        client.create_table("tapehouse.notes", NOTES)


@pytest.mark.parametrize(
    "properties",
    [
        {"py-io-impl": "os.path"},
        {"write.data.path": "/tmp"},
        {"write.metadata.path": "/tmp"},
        {"format-version": "1"},
    ],
)
def test_properties_that_lead_out_of_the_lake(client: RestCatalog, notes: Any, properties: dict[str, str]) -> None:
    with pytest.raises(BadRequestError):
        client.create_table("desk.other", NOTES, properties=properties)
    if "format-version" not in properties:
        with pytest.raises(BadRequestError):
            notes.transaction().set_properties(properties).commit_transaction()


def test_tables_lie_in_the_lake(client: RestCatalog, notes: Any, tmp_path: Path) -> None:
    for location in (str(tmp_path / "out"), f"{notes.location()}/../../../../out", "s3://bucket/x"):
        with pytest.raises(BadRequestError):
            client.create_table("desk.other", NOTES, location=location)
    assert not (tmp_path / "out").exists()
    client.create_table("desk.other", NOTES, location=notes.location().replace("notes", "other"))


def test_files_of_a_commit_lie_in_its_table(client: RestCatalog, notes: Any, tmp_path: Path) -> None:
    """Or expiry would remove files that are not the lake's, some day."""
    inside = next(Path(notes.location()).rglob("*.parquet"))
    outside = tmp_path / "mine.parquet"
    shutil.copy(inside, outside)
    with pytest.raises(BadRequestError, match="outside"):
        notes.add_files([str(outside)], check_duplicate_files=False)
    assert notes.refresh().scan().count() == 1


@pytest.mark.parametrize(
    "spec",
    [
        PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "b")),
        PartitionSpec(
            PartitionField(1, 1000, IdentityTransform(), "a"), PartitionField(2, 1001, IdentityTransform(), "b")
        ),
    ],
)
def test_partitions_that_upkeep_does_not_know(client: RestCatalog, spec: PartitionSpec) -> None:
    client.create_namespace("desk")
    with pytest.raises(BadRequestError, match="partitioned"):
        client.create_table("desk.notes", to_iceberg(NOTES), partition_spec=spec)


def test_a_partitioned_table(client: RestCatalog, bench: Bench) -> None:
    client.create_namespace("desk")
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "symbol"))
    table = client.create_table("desk.trades", to_iceberg(TRADES.schema), partition_spec=spec)
    table.append(trades(0, 10).with_columns(PRICE).to_arrow().cast(TRADES.schema))
    held = bench.lake.table("desk", "trades")
    assert held is not None
    assert held.partition_by == ("identity", "symbol")
    assert sorted(file.partition.label for file in held.files()) == ["AAPL", "MSFT", "SPY"]
    with pytest.raises(BadRequestError, match="partitioned"), table.update_spec() as update:
        update.add_identity("trade_id")


def test_columns_are_only_gained(client: RestCatalog, notes: Any) -> None:
    """The lake reads files by name: after a rename it would see nulls, where other engines see values."""
    for change in ("rename", "drop"):
        with pytest.raises(BadRequestError, match="note"), notes.refresh().update_schema(True) as update:
            update.rename_column("note", "text") if change == "rename" else update.delete_column("note")
    with pytest.raises(BadRequestError, match="map"):
        client.create_table("desk.other", pa.schema([("m", pa.map_(pa.string(), pa.int64()))]))
    with pytest.raises(BadRequestError):
        client.create_table("desk.other", pa.schema([("t", pa.time64("us"))]))


def test_runs_are_not_impersonated(notes: Any) -> None:
    with pytest.raises(BadRequestError, match=RUN_ID):
        notes.append(rows(2), snapshot_properties={RUN_ID: "r9"})
