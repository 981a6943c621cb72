"""Rows that other engines put into tables under contract: runs go on, and verify names them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from pyarrow import parquet
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.table import Table

from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.lake.iceberg.schemas import to_arrow
from tapehouse.lake.serve.server import Access, CatalogueServer
from tapehouse.runs.run import run
from tapehouse.runs.verify import verify
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

CONTRACT = Path(__file__).resolve().parents[2] / "examples" / "contracts" / "consolidated-trades.yaml"


@pytest.fixture
def tape(tmp_path: Path) -> Generated:
    return generate_trades(tmp_path / "tape", rows=2_000, seed=3, files=2)


@pytest.fixture
def contract() -> Contract:
    return load(CONTRACT)


@pytest.fixture
def lake(tmp_path: Path, contract: Contract, tape: Generated) -> Lake:
    """With the first of two files in it."""
    lake = Lake.open(tmp_path / "lake")
    take(lake, contract, tape, 0)
    assert verify(lake, deep=True).ok
    return lake


@pytest.fixture
def client(lake: Lake) -> Iterator[RestCatalog]:
    with CatalogueServer(lake, "127.0.0.1", 0, Access(writable=True)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield RestCatalog("lake", uri=server.uri)
        server.shutdown()


def take(lake: Lake, contract: Contract, tape: Generated, number: int) -> None:
    assert tape.reference is not None
    done = run(contract, [tape.files[number]], lake=lake, references={"symbols": tape.reference})
    assert done.status == "published"


def findings(lake: Lake) -> str:
    return "\n".join(finding.what for finding in verify(lake).findings)


def add(table: Table, **changed: object) -> None:
    """Put a copy of one of the table's rows into it, in a file of its own."""
    row = table.refresh().scan(limit=1).to_arrow().to_pylist()[0] | changed
    rows = pa.Table.from_pylist([row], to_arrow(table.schema()))
    path = Path(table.location()) / "data" / f"{uuid4()}.parquet"
    parquet.write_table(rows, path)
    table.add_files([str(path)])


def test_a_row_that_is_there_already(lake: Lake, client: RestCatalog, contract: Contract, tape: Generated) -> None:
    add(client.load_table("consolidated_trades.curated"))
    assert "two places" in findings(lake)
    assert "its proof says" in findings(lake)
    take(lake, contract, tape, 1)
    assert "its proof says" in findings(lake)


def test_a_row_of_no_run(lake: Lake, client: RestCatalog, contract: Contract, tape: Generated) -> None:
    table = client.load_table("consolidated_trades.curated")
    add(table, _batch="f" * 64, trade_id="none of yours")
    assert findings(lake) == "rows of a batch that no published run names"
    take(lake, contract, tape, 1)
    assert findings(lake) == "rows of a batch that no published run names"
    table.refresh().delete("trade_id = 'none of yours'")
    assert verify(lake).ok


def test_rows_taken_away(lake: Lake, client: RestCatalog) -> None:
    client.load_table("consolidated_trades.curated").delete("_event_time > '2000-01-01T00:00:00+00:00'")
    assert "its proof says" in findings(lake)


def test_tables_of_others_are_no_business_of_verify(lake: Lake, client: RestCatalog) -> None:
    client.create_namespace("desk")
    rows = client.load_table("consolidated_trades.curated").scan().to_arrow()
    client.create_table("desk.copy", rows.schema).append(rows)
    assert verify(lake, deep=True).ok
