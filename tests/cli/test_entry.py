"""The frame around all commands: help, version, errors, what is imported when."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command

from tapehouse.cli import exits
from tapehouse.cli.main import app

HEAVY = ("polars", "pyarrow", "numpy", "pyiceberg", "duckdb", "rich", "yaml", "jsonschema", "tapehouse.runs.run")


def _commands(command, name=()):
    if hasattr(command, "commands"):
        for child in command.commands.values():
            yield from _commands(child, (*name, child.name))
    else:
        yield name


COMMANDS = sorted(_commands(get_command(app)))


def test_every_verb_is_there():
    verbs = {" ".join(name) for name in COMMANDS}
    assert {"run", "verify", "backfill", "watch", "query", "generate", "score"} <= verbs
    assert {f"contract {verb}" for verb in ("lint", "show", "diff", "new", "schema")} <= verbs
    assert {f"quarantine {verb}" for verb in ("list", "show", "export", "replay", "discard")} <= verbs
    upkeep = ("tables", "snapshots", "compact", "expire", "retain", "orphans", "recover", "usage")
    assert {f"lake {verb}" for verb in upkeep} <= verbs
    assert {"runs list", "runs show"} <= verbs


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_help_has_examples_and_json(call, name):
    done = call(*name, "--help")
    assert done.code == exits.OK
    examples = done.out.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert 1 <= len(examples) <= 3
    assert all(f"tapehouse {' '.join(name)}" in example for example in examples)
    assert "--json" in done.out


def test_help_is_light_and_its_time_is_recorded(record_property):
    began = time.perf_counter()
    code = "import sys; from tapehouse.cli.main import app; sys.argv = ['tapehouse', '--help']; app()"
    words = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    record_property("help_seconds", time.perf_counter() - began)
    assert done.returncode == exits.OK
    assert "quarantine" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not imported & set(HEAVY)


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, tapehouse; print([name for name in {HEAVY!r} if name in sys.modules], 'run' in dir(tapehouse))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[] True"


def test_version(program):
    done = program("--version")
    assert (done.code, done.err) == (exits.OK, "")
    assert done.out.startswith("tapehouse 0.")


def test_no_words_give_help(program):
    done = program()
    assert done.code == exits.USAGE
    assert "Commands:" in done.out


@pytest.mark.parametrize(
    "words", [["nonsense"], ["run"], ["runs", "show"], ["verify", "--wrong"], ["query", "x", "--limit", "0"]]
)
def test_a_line_that_makes_no_sense(program, words):
    done = program(*words)
    assert (done.code, done.out) == (exits.USAGE, "")
    assert done.err.startswith("error: ")
    assert "  fix: see tapehouse" in done.err


def test_the_same_as_json(program):
    done = program("run", "--json")
    assert (done.code, done.err) == (exits.USAGE, "")
    error = done.json["error"]
    assert set(error) == {"type", "message", "fix", "exit_code"}
    assert (error["type"], error["exit_code"]) == ("UsageError", exits.USAGE)


def test_errors_have_no_traceback_unless_asked(program, tmp_path):
    words = ["runs", "list", "--lake", tmp_path / "none"]
    quiet, loud = program(*words), program(*words, "--debug")
    assert quiet.code == loud.code == 5
    assert "Traceback" not in quiet.err
    assert "fix: check the path" in quiet.err
    assert "Traceback" in loud.err
    assert "LakeError" in loud.err


def test_debug_with_json_keeps_standard_output_json(program, tmp_path):
    done = program("runs", "list", "--lake", tmp_path / "none", "--json", "--debug")
    assert done.json["error"]["type"] == "LakeError"
    assert "Traceback" in done.err


def test_a_fault_of_the_program_says_so():
    code = (
        "import sys; from tapehouse.cli import main\n"
        "import tapehouse.arguments as a\n"
        "def broken(*_, **__): raise KeyError('surprise')\n"
        "a.open_lake = broken\n"
        "sys.argv = ['tapehouse', 'lake', 'tables', '--json']; main.app()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == exits.INTERNAL
    error = json.loads(done.stdout)["error"]
    assert (error["type"], error["exit_code"]) == ("KeyError", exits.INTERNAL)
    assert "--debug" in error["fix"]


def test_a_reader_that_goes_away_is_no_error(lake):
    """As with `tapehouse query ... | head`."""
    program = Path(sys.executable).with_name("tapehouse")
    sql = "select * from consolidated_trades.curated"
    words = [program, "query", sql, "--format", "json", "--lake", lake]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=60) == exits.BROKEN_PIPE
    assert process.stderr.read() == ""
    process.stderr.close()
