"""The tutorial, followed to the letter: its files, its commands, its program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*?) -->\n)?```[a-z]*\n(?P<body>.*?)```", re.DOTALL)


def _shell(line, folder, expected=0):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = ["bash", "-c", line]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == expected, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """What each command of the tutorial printed, by its line."""
    folder, said = tmp_path_factory.mktemp("tutorial"), {}
    for block in BLOCK.finditer((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")):
        kind, _, value = (block["mark"] or "").partition(": ")
        if kind == "file":
            (folder / value).write_text(block["body"], encoding="utf-8")
        elif kind == "python":
            (folder / "program.py").write_text(block["body"], encoding="utf-8")
            _shell("python program.py", folder)
        else:
            for line in block["body"].splitlines():
                said[line] = _shell(line, folder, int(value) if kind == "exits" else 0)
    return said


def test_the_numbers_it_promises(followed):
    run = next(said for line, said in followed.items() if line.startswith("tapehouse run"))
    assert "proof closed: 5 = 2 + 2 + 1 + 0" in run
    replay = next(said for line, said in followed.items() if line.startswith("tapehouse quarantine replay"))
    assert "proof closed: 2 = 1 + 1 + 0 + 0" in replay


def test_it_uses_the_main_verbs(followed):
    lines = "\n".join(followed)
    verbs = ("contract new", "contract lint", "run", "quarantine list", "contract diff", "verify", "query", "runs list")
    for verb in verbs:
        assert f"tapehouse {verb} " in lines


def test_commands_named_in_the_pages_exist():
    """Every `tapehouse ...` of the README and the pages is a command, with options it has."""
    from typer.main import get_command

    from tapehouse.cli.main import app

    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.yaml")]
    found = 0
    whole = get_command(app)
    for page in pages:
        for line in re.findall(r"(?:^|[`/ ])tapehouse ([a-z][^`\n]*)", page.read_text(encoding="utf-8"), re.MULTILINE):
            command, words = whole, line.split()
            while hasattr(command, "commands") and words and words[0] in command.commands:
                command = command.commands[words.pop(0)]
            if command.name is None or (hasattr(command, "commands") and words and not words[0].startswith("-")):
                continue  # prose
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            used = {word.split("=")[0] for word in words if re.fullmatch(r"-[a-z]|--[a-z-]+(=.*)?", word)}
            assert used <= known | {"--help", "--debug"}, f"{page.name}: tapehouse {line}"
            found += 1
    assert found > 30
