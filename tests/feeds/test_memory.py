"""Files larger than the memory they may take, and one line as long as a file, each read in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, resource, sys
from pathlib import Path
from tapehouse.contracts.model import Column, Contract, Feed, Grammar, Kind
from tapehouse.feeds import reader
from tapehouse.feeds.base import BatchSource

path = Path(sys.argv[1])
columns = (
    Column(name="s", kind=Kind.STRING, grammar=Grammar.TEXT, source="s"),
    Column(name="n", kind=Kind.INTEGER, grammar=Grammar.INTEGER, source="n"),
    Column(name="t", kind=Kind.STRING, grammar=Grammar.TEXT, source="t"),
)
contract = Contract("i", "n", "1", "d", "", columns, (), feed=Feed(format=sys.argv[3], header=False))
source = BatchSource(path, "", str(path), path.stat().st_size)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = {"records": 0, "rows": 0, "sum": 0, "codes": []}
for part in reader(sys.argv[3])(contract, source, slice_bytes=int(sys.argv[2])):
    found["records"] += part.records
    found["rows"] += part.frame.height
    if part.frame.schema["n"].is_integer():
        found["sum"] += part.frame["n"].sum()
    found["codes"] += [[bad.code, bad.record.length, len(bad.record.raw)] for bad in part.malformed]
found["megabytes"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps(found))
"""


def run(path: Path, slice_bytes: int, form: str = "csv") -> dict[str, object]:
    command = [sys.executable, "-c", SCRIPT, str(path), str(slice_bytes), form]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("quoted", [False, True])
def test_a_file_larger_than_its_memory(tmp_path: Path, quoted: bool) -> None:
    name = '"line\nend"' if quoted else "some symbol"
    lines = "".join(f"{name},{n},2024-03-04T14:30:00.014257598Z {n * n}\n" for n in range(100_000)).encode()
    copies = 600_000_000 // len(lines) + 1
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        for _ in range(copies):
            file.write(lines)
    found = run(path, 8 << 20)
    path.unlink()
    assert found["rows"] == found["records"] == 100_000 * copies
    assert found["sum"] == sum(range(100_000)) * copies
    assert found["megabytes"] < 300


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_one_long_line(tmp_path: Path, form: str) -> None:
    path = tmp_path / "long"
    good = b"a,1,b\n" if form == "csv" else b'{"s":"a","n":1}\n'
    path.write_bytes(good + b"x" * (50 << 20) + b"\n" + good)
    found = run(path, 4 << 20, form)
    assert found["rows"] == 2
    assert found["codes"] == [["malformed_length", 50 << 20, 1 << 16]]
    assert found["megabytes"] < 150  # type: ignore[operator]


def test_a_file_without_any_line_end(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b'"' + b"x" * (50 << 20))
    found = run(path, 4 << 20)
    assert found["codes"] == [["malformed_length", (50 << 20) + 1, 1 << 16]]
    assert found["megabytes"] < 150  # type: ignore[operator]
