"""`watch`: files that land while it runs, files half written, restarts, and files that cannot be read."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tapehouse.errors import FeedError, LakeError, TapehouseError, UsageError
from tapehouse.runs.result import RunResult, Status
from tapehouse.runs.watch import watch

from .conftest import NewLake
from .support import HEADER, Bench, trade, write_csv


@dataclass
class Seen:
    results: list[RunResult] = field(default_factory=list)
    errors: list[tuple[Path, TapehouseError]] = field(default_factory=list)

    def curated(self) -> int:
        return sum(result.proof.counts["curated"] for result in self.results if result.status == Status.PUBLISHED)

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for it; ten seconds at most."""
        end = time.monotonic() + 10
        while not true():
            assert time.monotonic() < end, self
            time.sleep(0.01)


@contextmanager
def watching(bench: Bench, folder: Path) -> Iterator[Seen]:
    """A watch in a thread of its own, stopped at the end of the block."""
    seen, stop, raised = Seen(), threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            watch(
                bench.contract, folder, lake=bench.lake, stop=stop, interval_seconds=0.05, references=bench.references,
                on_result=seen.results.append, on_error=lambda path, error: seen.errors.append((path, error)),
            )  # fmt: skip
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
        assert raised == []


def lines(first: int, count: int = 20) -> list[str]:
    return [trade("14:45:00", first + n) for n in range(count)]


def test_files_that_land_are_taken_once_and_a_restart_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "landing"
    write_csv(folder / "a.csv", lines(0))
    with watching(bench, folder) as seen:
        seen.until(lambda: seen.curated() == 20)
        write_csv(folder / "below" / "b.csv", lines(100))
        seen.until(lambda: seen.curated() == 40)
        time.sleep(0.2)
    assert seen.errors == []
    with watching(bench, folder) as again:
        write_csv(folder / "c.csv", lines(200))
        again.until(lambda: again.curated() == 20)
    assert again.errors == []
    assert bench.rows("curated").height == 60
    assert bench.batches().height == 3
    bench.clean()


def test_a_file_still_being_written_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "landing"
    folder.mkdir()
    slow = folder / "slow.csv"
    with watching(bench, folder) as seen:
        slow.write_text(HEADER + "\n")
        with slow.open("a", buffering=1) as stream:
            for line in lines(0, 40):
                stream.write(line + "\n")
                time.sleep(0.01)
        seen.until(lambda: bool(seen.results))
        time.sleep(0.2)
    assert [result.rows_in for result in seen.results] == [40]
    bench.clean()


@pytest.mark.parametrize("name", ["x.csv.part", "x.tmp", ".hidden.csv", "x.partial"])
def test_names_of_unfinished_files_are_no_files(bench: Bench, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "landing"
    write_csv(folder / name, lines(0))
    with watching(bench, folder) as seen:
        time.sleep(0.3)
        (folder / name).rename(folder / "x.csv")
        seen.until(lambda: seen.curated() == 20)
    assert len(seen.results) == 1


def test_a_bad_file_is_told_once_and_holds_up_nobody(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "landing"
    write_csv(folder / "good.csv", lines(0))
    write_csv(folder / "over.csv", [trade("14:45:00", 100 + n, price="-1") for n in range(10)])
    (folder / "bad.csv").write_text("what,is,this\n1,2,3\n")
    with watching(bench, folder) as seen:
        seen.until(lambda: seen.curated() == 20 and bool(seen.errors) and len(seen.results) == 2)
        time.sleep(0.3)
        assert [(path.name, type(error)) for path, error in seen.errors] == [("bad.csv", FeedError)]
        assert sorted(result.status for result in seen.results) == [Status.PUBLISHED, Status.STOPPED]
        write_csv(folder / "bad.csv", lines(200))
        seen.until(lambda: seen.curated() == 40)
    assert len(seen.errors) == 1
    bench.clean()


def test_files_that_met_a_full_disk_are_taken_once_there_is_space(
    small_disk: Path, new_lake: NewLake, tmp_path: Path
) -> None:
    """A lake in trouble is not the file's fault: told once, and tried again."""
    bench = new_lake(root=small_disk / "lake")
    folder = tmp_path / "landing"
    bench.run(write_csv(tmp_path / "first.csv", lines(0)))
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        for _ in range(shutil.disk_usage(small_disk).free // 4096):
            stream.write(bytes(4096))
    write_csv(folder / "a.csv", lines(100))
    with watching(bench, folder) as seen:
        seen.until(lambda: bool(seen.errors))
        time.sleep(0.3)
        assert len(seen.errors) == 1
        assert isinstance(seen.errors[0][1], LakeError)
        ballast.unlink()
        seen.until(lambda: seen.curated() == 20)
    bench.clean()


def test_a_folder_that_is_none_is_an_error(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        watch(
            bench.contract, tmp_path / "none", lake=bench.lake, stop=threading.Event(),
            on_result=lambda result: None, on_error=lambda path, error: None,
        )  # fmt: skip
