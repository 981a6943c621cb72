"""The documentation against the program: generated pages are current, links lead somewhere, exit codes agree."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
import typer

from tapehouse import errors

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def _script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current():
    command = [sys.executable, str(ROOT / "scripts" / "generate_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def _anchors(path):
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in _anchors(file), f"{page.name} links to {target}: no such heading"


def _families(error):
    yield error
    for child in error.__subclasses__():
        yield from _families(child)


def test_every_exit_code_is_documented():
    table = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    for error in _families(errors.TapehouseError):
        if not error.__module__.startswith("tapehouse."):
            continue
        assert error.exit_code in documented, f"{error.__name__} exits with {error.exit_code}, which is not documented"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.fixture
def small_app():
    app = typer.Typer(help="A small program. With two sentences.")
    group = typer.Typer(help="Things of a group.")
    app.add_typer(group, name="group")

    @app.command()
    def paint(
        files: Annotated[list[Path], typer.Argument(help="What to paint.")],
        colour: Annotated[Colour, typer.Option("--colour", "-c", help="Which | colour.")] = Colour.BLUE,
        coats: Annotated[int, typer.Option(help="How many.", envvar="COATS")] = 2,
        tag: Annotated[list[str] | None, typer.Option(help="Marks.")] = None,
        dry: Annotated[bool, typer.Option("--dry/--wet", help="Wait.")] = False,
        secret: Annotated[str, typer.Option(hidden=True)] = "",
    ) -> None:
        """Paint files. Never the [bold]inside[/bold]."""

    @group.command("list")
    def list_(where: Annotated[str, typer.Option("--where", help="Place.")]) -> None:
        """List them."""

    @group.command(hidden=True)
    def internal() -> None:
        """Not shown."""

    return app


def test_cli_reference_says_all_a_reader_needs(small_app):
    page = _script("cli_reference").cli_reference(small_app, "tool")
    assert "- [`tool group list`](#tool-group-list): List them" in page
    assert "```\ntool paint [OPTIONS] FILES...\n```" in page
    assert "Paint files. Never the inside." in page
    assert "| `--colour`, `-c` | `red`, `blue` | `blue` | Which \\| colour. |" in page
    assert "| `--coats` | integer | `2` | How many. Environment: `COATS`. |" in page
    assert "| `--tag` | text, repeatable |  | Marks. |" in page
    assert "| `--dry`, `--wet` | flag | `--wet` | Wait. |" in page
    assert "| `--where` | text | required | Place. |" in page
    assert "| `FILES...` | path, repeatable | required | What to paint. |" in page
    assert "secret" not in page
    assert "internal" not in page
