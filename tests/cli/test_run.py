"""`run`, `backfill`, `verify`, `runs`: rows into the lake, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tapehouse.cli import exits
from tapehouse.cli.main import app

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "contracts" / "consolidated-trades.yaml"

RUN_KEYS = [
    "run_id",
    "kind",
    "status",
    "contract",
    "contract_version",
    "engine",
    "lake",
    "rows_in",
    "curated",
    "quarantined",
    "duplicates",
    "filtered",
    "rules",
    "warnings",
    "proof",
    "batches",
    "skipped",
    "stopped_because",
    "complete_through",
    "lateness_ns",
    "snapshots",
    "references",
    "notes",
    "seconds",
    "rows_per_second",
]


def _words(contract, tape, lake, *more):
    return [
        "run",
        contract,
        tape / "trades_00.csv",
        tape / "trades_01.csv",
        "--reference",
        tape / "ref.csv",
        "--lake",
        lake,
        *more,
    ]


def test_a_run_from_the_shell_to_verify(program, contract, tape, tmp_path):
    lake = tmp_path / "lake"
    done = program(*_words(contract, tape, lake, "--json"))
    assert (done.code, done.err) == (exits.OK, "")
    result = done.json
    assert list(result) == RUN_KEYS
    assert result["status"] == "published"
    assert result["rows_in"] == 4_000
    parts = ("curated", "quarantined", "duplicates", "filtered")
    assert result["rows_in"] == sum(result[part] for part in parts)
    assert result["quarantined"] > 0
    assert result["duplicates"] > 0
    assert result["proof"]["closed"] is True
    assert result["rules"]["price_band"] > 0
    assert result["rows_per_second"] > 0
    again = program(*_words(contract, tape, lake, "--json"))
    assert again.code == exits.OK
    assert list(again.json) == RUN_KEYS
    assert (again.json["status"], again.json["rows_in"], len(again.json["skipped"])) == ("nothing", 0, 2)
    checked = program("verify", "--lake", lake, "--json")
    assert checked.code == exits.OK
    assert {"ok": True, "batches": 2, "rows": 4_000, "findings": []}.items() <= checked.json.items()


def test_what_a_person_sees(program, contract, tape, tmp_path):
    done = program(*_words(contract, tape, tmp_path / "lake"))
    assert done.code == exits.OK
    assert "run of consolidated-trades 1.0.0: published" in done.out
    assert "proof closed: 4,000 = " in done.out
    assert "sum of size equal" in done.out
    assert "price_band" in done.out
    assert str(tmp_path / "lake") in done.out
    assert "Next:" not in done.out, "advice is for terminals"
    assert done.err == ""


def test_the_lake_of_the_environment(program, contract, tape, tmp_path):
    words = _words(contract, tape, "ignored")[:-2]
    done = program(*words, "--json", TAPEHOUSE_LAKE=str(tmp_path / "there"), cwd=tmp_path)
    assert done.json["lake"] == str(tmp_path / "there")
    assert not (tmp_path / "lake").exists()


def test_without_an_environment_it_is_lake_here(program, contract, tape, tmp_path):
    done = program(*_words(contract, tape, "ignored")[:-2], "--json", cwd=tmp_path)
    assert done.json["lake"] == str(tmp_path / "lake")


def test_a_budget_stops_the_run(program, contract, bad_tape, tmp_path):
    lake = tmp_path / "lake"
    words = ["run", contract, bad_tape / "trades_00.csv", "-r", bad_tape / "ref.csv", "-l", lake]
    done = program(*words, "--json", "--alert", "log:")
    assert done.code == exits.STOPPED
    result = done.json
    assert list(result) == [*RUN_KEYS[:12], "withheld", *RUN_KEYS[12:]]
    assert result["status"] == "stopped"
    assert "budget is 10.00%" in result["stopped_because"][0]
    alert = json.loads(done.err)
    assert (alert["severity"], alert["run_id"]) == ("critical", result["run_id"])
    told = program(*words)
    assert told.code == exits.STOPPED
    assert "stopped: nothing was published" in told.out
    count = program("query", "select count(*) n from tapehouse.runs where status = 'published'", "-l", lake, "--json")
    assert count.json["rows"] == [{"n": 0}]


IMPOSSIBLE = {
    "missing input": (exits.USAGE, "UsageError", "{contract} {tmp}/none.csv -r {tape}/ref.csv"),
    "missing contract": (3, "ContractError", "{tmp}/none.yaml {tape}/trades_00.csv"),
    "missing reference": (3, "ReferenceDataError", "{contract} {tape}/trades_00.csv"),
    "absent reference": (3, "ReferenceDataError", "{contract} {tape}/trades_00.csv -r {tmp}/no.csv"),
    "unknown reference": (exits.USAGE, "UsageError", "{contract} {tape}/trades_00.csv -r x=no.csv"),
    "two bare references": (exits.USAGE, "UsageError", "{contract} {tape}/trades_00.csv -r a -r b"),
    "wrong header": (4, "FeedError", "{contract} {tape}/ref.csv -r {tape}/ref.csv"),
    "odd alert": (exits.USAGE, "UsageError", "{contract} {tape}/trades_00.csv -r {tape}/ref.csv --alert x:"),
    "odd lineage": (exits.USAGE, "UsageError", "{contract} {tape}/trades_00.csv -r {tape}/ref.csv --lineage ftp://x"),
    "odd metrics": (exits.USAGE, "UsageError", "{contract} {tape}/trades_00.csv -r {tape}/ref.csv --metrics m.xml"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_runs_that_cannot_be(call, contract, tape, tmp_path, what):
    code, kind, line = IMPOSSIBLE[what]
    words = line.format(contract=contract, tape=tape, tmp=tmp_path).split()
    arguments = ["run", *words, "--lake", tmp_path / "lake"]
    done = call(*arguments, "--json")
    error = done.json["error"]
    assert (done.code, error["type"], error["exit_code"]) == (code, kind, code)
    assert error["message"]
    told = call(*arguments)
    assert (told.code, told.out) == (code, "")
    assert told.err.startswith("error: ")
    assert "Traceback" not in told.err
    lakes = call("lake", "tables", "--lake", tmp_path / "lake", "--json")
    assert lakes.code == 5 or lakes.json["tables"] == []


def test_a_missing_input_leaves_no_empty_lake(call, contract, tmp_path, tape):
    call("run", contract, tmp_path / "none.csv", "-r", tape / "ref.csv", "--lake", tmp_path / "lake")
    assert not (tmp_path / "lake").exists()


def test_a_lake_that_is_something_else(call, contract, tape, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = call(*_words(contract, tape, tmp_path, "--json"))
    assert (done.code, done.json["error"]["type"]) == (5, "LakeError")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_errors_of_a_contract_have_positions(program, contract, tape, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(contract.read_text().replace("rule: lateness, max: 1h", "rule: latenes, max: 1h"))
    line = next(n for n, text in enumerate(broken.read_text().splitlines(), 1) if "latenes," in text)
    words = ["run", broken, tape / "trades_00.csv", "-r", tape / "ref.csv", "-l", tmp_path / "lake"]
    done = program(*words)
    assert done.code == 3
    assert f"{broken}:{line}:" in done.err
    assert "lateness" in done.err
    problem = program(*words, "--json").json["error"]["problems"][0]
    assert (problem["file"], problem["line"]) == (str(broken), line)
    assert problem["column"] > 0
    assert problem["path"].startswith("schema[0]")


def test_metrics_and_lineage_files(call, contract, tape, tmp_path):
    metrics, lineage = tmp_path / "run.prom", tmp_path / "events.ndjson"
    done = call(
        *_words(contract, tape, tmp_path / "lake", "--metrics", metrics, "--lineage", f"file:{lineage}", "--json")
    )
    assert done.json["notes"] == []
    assert 'disposition="rows_in"} 4000' in metrics.read_text()
    start, end = (json.loads(line) for line in lineage.read_text().splitlines())
    assert [start["eventType"], end["eventType"]] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == end["run"]["runId"]
    assert end["run"]["facets"]["tapehouse_conservation"]["runId"] == done.json["run_id"]


def test_runs_list_and_show(call, lake):
    listed = call("runs", "list", "--lake", lake, "--json").json["runs"]
    assert [(run["kind"], run["status"], run["rows_in"]) for run in listed] == [("run", "published", 4_000)]
    run_id = listed[0]["run_id"]
    shown = call("runs", "show", run_id[:20], "--lake", lake, "--json").json
    assert shown["run_id"] == run_id
    assert shown["proof"]["closed"] is True
    assert len(shown["batch_list"]) == 2
    assert call("runs", "list", "--contract", "other", "--lake", lake, "--json").json == {"runs": []}
    assert run_id in call("runs", "list", "--lake", lake).out
    page = call("runs", "show", run_id, "--lake", lake).out
    assert "proof closed" in page
    assert "price_band" in page
    assert call("runs", "show", "1999", "--lake", lake).code == exits.USAGE


def test_backfill_replaces_and_dry_run_does_not(call, contract, own_lake, tape):
    words = ["backfill", contract, "--lake", own_lake, "--reference", tape / "ref.csv", "--json"]
    preview = call(*words, "--dry-run")
    assert (preview.code, preview.json["status"]) == (exits.OK, "preview")
    assert len(call("runs", "list", "--lake", own_lake, "--json").json["runs"]) == 1
    done = call(*words)
    assert (done.code, done.json["kind"], done.json["status"]) == (exits.OK, "backfill", "published")
    assert list(done.json) == RUN_KEYS
    rows = call("query", "select count(*) n from consolidated_trades.curated", "--lake", own_lake, "--json").json[
        "rows"
    ]
    assert rows == [{"n": done.json["curated"]}]
    assert call("verify", "--lake", own_lake).code == exits.OK
    assert call(*words[:-1], "--since", "2030-01-01").code == exits.USAGE
    assert call(*words[:-1], "--since", "soon").code == exits.USAGE


def test_verify_finds_a_changed_batch(call, own_lake):
    files = [path for path in (own_lake / "raw").rglob("*") if path.is_file()]
    landed = max(files, key=lambda path: path.stat().st_size)
    landed.chmod(0o644)
    landed.write_bytes(landed.read_bytes()[:-1])
    done = call("verify", "--lake", own_lake, "--json")
    assert done.code == exits.FINDINGS
    assert done.json["ok"] is False
    assert "landed bytes" in done.json["findings"][0]["what"]
    assert "do not hold" in call("verify", "--lake", own_lake).out


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["--engine", "sparks"], 2, "no engine 'sparks'"),
        (["--master", "local[2]"], 2, "a master is given, and the engine is embedded"),
        (["--engine", "spark"], 6, "pyspark is not installed"),
    ],
)
def test_an_engine_that_cannot_be_is_told_before_a_lake_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], code: int, said: str
) -> None:
    monkeypatch.setattr("tapehouse.arguments.find_spec", lambda package: None)
    source = tmp_path / "in.csv"
    source.write_text("a\n1\n")
    done = CliRunner().invoke(app, ["run", str(EXAMPLE), str(source), "--lake", str(tmp_path / "lake"), *given])
    assert done.exit_code == code
    assert said in done.output
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("missing", ["pyspark", "cryptography"])
def test_certifying_without_the_extra_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr("tapehouse.arguments.find_spec", lambda package: None if package == missing else object())
    done = CliRunner().invoke(app, ["certify", str(EXAMPLE), "in.csv", "--key", str(tmp_path / "key.pem")])
    assert done.exit_code == 6
    assert f"{missing} is not installed" in done.output
