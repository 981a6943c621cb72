"""Opening, locking, and the spill of running runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from tapehouse.errors import LakeError
from tapehouse.lake.compact import compact
from tapehouse.lake.home import Lake
from tapehouse.lake.query import query

from .support import Bench, trades

HOLD = "import sys,time\nfrom tapehouse.lake.home import Lake\nlake=Lake.open(sys.argv[1])\n"


def test_opening_imports_no_iceberg(tmp_path: Path) -> None:
    code = HOLD + "print([m for m in ('pyiceberg','polars','pyarrow','duckdb') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "lake"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_publishing_imports_neither_pandas_nor_pyarrow_datasets(tmp_path: Path) -> None:
    script = Path(__file__).with_name("writer.py")
    code = f"import runpy,sys; sys.argv=['w',{str(tmp_path / 'lake')!r},'r1','0']\n"
    code += f"runpy.run_path({str(script)!r},run_name='__main__')\n"
    code += "print([m for m in ('pandas','pyiceberg.io.pyarrow','pyarrow.dataset') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep")
    with pytest.raises(LakeError, match="not a lake and not empty") as caught:
        Lake.open(tmp_path)
    assert "absent or empty folder" in caught.value.fix
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_an_absent_lake_is_not_made_when_told_so(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no lake in"):
        Lake.open(tmp_path / "lake", create=False)
    with pytest.raises(LakeError, match="no lake in"):
        Lake.open(tmp_path / "lake", read_only=True)
    assert not (tmp_path / "lake").exists()


def test_a_half_made_lake_is_completed(tmp_path: Path) -> None:
    (tmp_path / "lake" / "raw").mkdir(parents=True)
    assert Lake.open(tmp_path / "lake").tables() == []


@pytest.mark.parametrize(("content", "says"), [(b'{"format": 99}', "format 99"), (b"{", "damaged")])
def test_a_marker_of_another_format_is_named(lake: Lake, content: bytes, says: str) -> None:
    (lake.root / "lake.json").write_bytes(content)
    with pytest.raises(LakeError, match=says):
        Lake.open(lake.root)


def test_read_only_reads_and_refuses_writes(bench: Bench) -> None:
    bench.run("r1", trades(0, 5))
    lake = Lake.open(bench.lake.root, read_only=True)
    table = lake.table("trades", "curated")
    assert table is not None
    assert table.rows() == 5
    with pytest.raises(LakeError, match="read-only"), lake.lock():
        pass
    with pytest.raises(LakeError, match="read-only"), lake.staging("r2"):
        pass


def test_lock_nests_and_is_required_for_writing(lake: Lake) -> None:
    with pytest.raises(LakeError, match="not held"):
        lake.require_lock()
    with lake.lock():
        with lake.lock():
            lake.require_lock()
        lake.require_lock()
    with pytest.raises(LakeError, match="not held"):
        lake.require_lock()


def test_lock_waits_for_another_process_and_says_so_once(lake: Lake) -> None:
    code = HOLD + "with lake.lock():\n print('held',flush=True)\n time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, lake.root], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waited: list[int] = []

    def waiting() -> None:
        waited.append(1)
        holder.kill()  # the kernel frees a dead process's lock

    with lake.lock(waiting=waiting):
        assert waited == [1]
    holder.wait()
    with lake.lock(waiting=waiting):
        assert waited == [1]


def test_lock_excludes_threads_of_one_process(lake: Lake) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with lake.lock():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_spill_is_removed_and_tells_the_living_from_the_dead(lake: Lake) -> None:
    with lake.staging("alive") as spill:
        (spill / "part").write_bytes(b"x")
        assert lake.live_runs() == ["alive"]
        with pytest.raises(LakeError, match="already at work"), lake.staging("alive"):
            pass
    assert not spill.exists()
    code = HOLD + "s=lake.staging('dead')\np=s.__enter__()\nprint('held',flush=True)\ntime.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, lake.root], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert lake.live_runs() == ["dead"]
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (lake.live_runs(), lake.dead_runs()) == ([], ["dead"])


def test_a_failing_run_takes_its_unpublished_files_along(bench: Bench) -> None:
    bench.run("r1", trades(0, 5))

    def fail(run_id: str, rows: pl.DataFrame | None) -> None:
        with bench.lake.lock(), bench.lake.staging(run_id):
            if rows is not None:
                assert bench.file(run_id, rows).exists()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail("r2", trades(5, 5))
    assert not list(bench.lake.warehouse.rglob("r2-*"))
    with pytest.raises(RuntimeError):
        fail("r1", None)  # the same id again: its published files stay
    assert bench.ids() == list(range(5))


def test_a_data_file_is_never_written_over(bench: Bench) -> None:
    bench.file("r1", trades(0, 5))
    with pytest.raises(LakeError, match="exists: run id r1 was used"):
        bench.file("r1", trades(0, 5))


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "x" * 129, "a\n"])
def test_run_ids_that_cannot_name_files_are_refused(lake: Lake, run_id: str) -> None:
    with pytest.raises(LakeError, match="cannot name a run"), lake.staging(run_id):
        pass


def test_warm_leaves_the_catalogue_open(lake: Lake) -> None:
    lake.warm()
    for thread in threading.enumerate():
        if thread.name == "tapehouse-lake-warm":
            thread.join()
    assert lake._catalog is not None


def test_a_lake_may_lie_under_any_name(tmp_path: Path) -> None:
    root = tmp_path / "a b#c?d%20é'\"f"
    bench = Bench(Lake.open(root))
    bench.run("r1", trades(0, 5))
    compact(bench.lake, bench.table())
    bench.run("r2", trades(5, 5))
    compact(bench.lake, bench.table())
    assert (root / "catalog.db").exists()
    assert query(Lake.open(root, read_only=True), "SELECT count(*) AS n FROM trades.curated").to_pylist() == [{"n": 10}]
    assert sorted(path.name for path in tmp_path.iterdir()) == [root.name]
