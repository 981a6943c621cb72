"""Writes the generated pages of docs/. With --check writes nothing and fails if a page is not current.

Each page is a function from nothing to its text, found in PAGES by its path.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))


def _cli() -> str:
    from cli_reference import cli_reference

    from tapehouse.cli.main import app

    return cli_reference(app)


def _contract_reference() -> str:
    from tapehouse.contracts.reference_doc import reference

    return reference()


PAGES: dict[str, Callable[[], str]] = {
    "docs/cli.md": _cli,
    "docs/contract-reference.md": _contract_reference,
}


def main(arguments: list[str]) -> int:
    """0 when every page is (now) current, 1 when --check found one that is not, 2 for a wrong argument."""
    if arguments not in ([], ["--check"]):
        print("usage: generate_docs.py [--check]", file=sys.stderr)
        return 2
    # A terminal's width and colours must not reach the pages.
    os.environ.update(COLUMNS="100", NO_COLOR="1", TERM="dumb")
    stale = 0
    for name, render in PAGES.items():
        path = ROOT / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        new = render()
        if old == new:
            continue
        stale += 1
        if arguments:
            lines = difflib.unified_diff(old.splitlines(), new.splitlines(), name, f"{name} (now)", lineterm="", n=1)
            print("\n".join(list(lines)[:40]))
            print(f"{name} is not current: run `make docs`", file=sys.stderr)
        else:
            path.write_text(new, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
