"""Loads a contract: YAML, then the official ODCS schema, then ours, then meaning. All problems are told at once.

    contract = load("consolidated-trades.yaml")

Each layer is judged even where an earlier one complained; only text that is no YAML at all ends it at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapehouse.contracts import build_dataset as dataset
from tapehouse.contracts.build_columns import build_columns
from tapehouse.contracts.build_rules import RuleBuilder
from tapehouse.contracts.build_scope import build_calendars, build_references
from tapehouse.contracts.draft import Draft, items, text
from tapehouse.contracts.model import Contract
from tapehouse.contracts.positions import Path as Place
from tapehouse.contracts.positions import parse_yaml
from tapehouse.contracts.rules.base import RuleScope
from tapehouse.errors import ContractError, Problem

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleKind

MAX_BYTES = 4 << 20
"""Size of a contract file; larger ones are no contracts."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_HOUSE = "tapehouse"
_VERSION = re.compile(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?")


def load(path: Path | str, *, kinds: Mapping[str, RuleKind] | None = None) -> Contract:
    """The contract in file `path`. `kinds` are the known kinds of rule (default: built-in ones and plug-ins).

    Raises ContractError with every problem found, also where the file cannot be read.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ContractError([Problem(f"more than {MAX_BYTES} bytes", file=str(path), guess="is this a data file?")])
        raw = file.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ContractError([Problem(f"cannot be read: {reason}", file=str(path))], fix=_near_file(file)) from error
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = Problem("not UTF-8 text", file=str(path), line=line, column=1, guess="save the file as UTF-8")
        raise ContractError([problem]) from error
    return loads(content, source=str(path), kinds=kinds)


def _near_file(file: Path) -> str:
    if file.parent.is_dir():
        found = sorted(item.name for item in file.parent.glob("*.y*ml"))
        return f"contracts in {file.parent}: {', '.join(found[:10])}" if found else "name an existing YAML file"
    return f"there is no folder {file.parent}"


def loads(content: str, source: str = "<text>", *, kinds: Mapping[str, RuleKind] | None = None) -> Contract:
    """The contract in the YAML text `content`; `source` names it in problems.

    Raises ContractError with every problem found, in the order of the text.
    """
    draft = draft_of(content, source)
    contract = _build(draft, content, kinds) if isinstance(draft.document.data, dict) else None
    if draft.problems or contract is None:
        ordered = sorted(draft.problems, key=lambda problem: (problem.line, problem.column))
        raise ContractError(ordered, fix=_fix(ordered))
    return contract


def draft_of(content: str, source: str) -> Draft:
    """The text as data with positions, checked against the official schema."""
    document = parse_yaml(content, source)
    draft = Draft(source, document, list(document.problems))
    if isinstance(document.data, dict):
        draft.check_standard()
    elif not draft.problems:
        what = "an empty file" if document.data is None else f"a {type(document.data).__name__}"
        draft.problem((), f"{what} where a contract is expected", allowed="a mapping with apiVersion, kind, id, ...")
    return draft


def _fix(problems: list[Problem]) -> str:
    count = len(problems)
    return "" if count < 2 else f"{count} problems; the first may cause others"


def _build(draft: Draft, content: str, kinds: Mapping[str, RuleKind] | None) -> Contract | None:
    data: dict[str, Any] = draft.document.data
    _check_identity(draft, data)
    custom = draft.custom(data, (), "contract")
    table, path = _table(draft, data)
    table_custom = draft.custom(table, path, "table")
    feed = dataset.build_feed(draft, table_custom)
    columns = build_columns(draft, table, path, feed.format)
    dataset.check_sources(draft, feed, columns, _places(table, path))
    calendars = build_calendars(draft, custom)
    references = build_references(draft, custom, columns)
    scope = RuleScope(columns, calendars, references)
    rules = RuleBuilder(draft, scope, _kinds() if kinds is None else kinds, feed.format).build(table, path)
    levels = dataset.build_service_levels(draft)
    partitioning = dataset.build_partitioning(draft, table_custom, columns)
    budget = custom.get("tapehouse.budget")
    contract = Contract(
        id=str(data.get("id", "")),
        name=str(data.get("name", "")),
        version=str(data.get("version", "")),
        digest=hashlib.sha256(content.encode()).hexdigest(),
        source=draft.file,
        columns=tuple(columns.values()),
        rules=rules.rows,
        batch_rules=rules.batches,
        feed=feed,
        key=dataset.build_key(draft, table_custom, table, path, columns),
        partitioning=partitioning,
        derived=dataset.build_derived(draft, table_custom, columns, partitioning),
        calendars=calendars,
        references=references,
        filter=dataset.build_filter(draft, table_custom, scope),
        budget=None if budget is None else float(budget.value),
        retention=dataset.build_retention(custom, levels),
        service_levels=levels,
        owner=_owner(data),
        description=_description(data, table),
    )
    return None if draft.problems else contract


def _kinds() -> Mapping[str, RuleKind]:
    from tapehouse.contracts.rules import registry

    return registry()


def _places(table: dict[str, Any], path: Place) -> dict[str, Place]:
    """Where each column stands, by name."""
    columns = enumerate(items(table, "properties"))
    return {str(raw["name"]): (*path, "properties", index) for index, raw in columns if text(raw, "name") is not None}


def _check_identity(draft: Draft, data: dict[str, Any]) -> None:
    name = text(data, "name")
    if "name" not in data:
        draft.problem((), "'name' is missing", allowed="name: the dataset's namespace in the lake")
    elif name is not None and not _NAME.fullmatch(name):
        allowed = "letters, digits, - and _, first a letter, at most 63"
        guess = f"write {re.sub(r'[^A-Za-z0-9_-]+', '-', name).strip('-').lower()}"
        draft.problem(("name",), f"name {name!r}", value=name, allowed=allowed, guess=guess)
    elif name is not None and name.lower() == _HOUSE:
        draft.problem(("name",), f"name {name!r}", value=name, allowed="any but the namespace of the lake's own tables")
    version = text(data, "version")
    if version is not None and not _VERSION.fullmatch(version):
        allowed = "three numbers: major.minor.patch, e.g. 1.0.0"
        draft.problem(("version",), f"version {version!r}", value=version, allowed=allowed)


def _table(draft: Draft, data: dict[str, Any]) -> tuple[dict[str, Any], Place]:
    """The one table of the contract; an empty one where there is none."""
    tables = items(data, "schema")
    if not tables:
        if draft.sound(("schema",)):
            draft.problem(
                (), "'schema' is missing: the contract describes no table", allowed="schema: a list of one table"
            )
        return {}, ("schema", 0)
    if len(tables) > 1:
        guess = "write one contract per table"
        draft.problem(("schema", 1), f"{len(tables)} tables in one contract", allowed="one", guess=guess)
    if not items(tables[0], "properties") and draft.sound(("schema", 0)):
        draft.problem(("schema", 0), "a table without columns", allowed="properties: a list of columns")
    return tables[0], ("schema", 0)


def _owner(data: dict[str, Any]) -> str:
    """The team member with the role owner, else the team's name, else the first member."""
    team = data.get("team")
    members = items(team, "members") if isinstance(team, dict) else items(data, "team")
    for member in members:
        if (text(member, "role") or "").lower() in ("owner", "data owner", "product owner"):
            return text(member, "username") or ""
    if isinstance(team, dict) and text(team, "name"):
        return str(team["name"])
    return next((text(member, "username") or "" for member in members), "")


def _description(data: dict[str, Any], table: dict[str, Any]) -> str:
    described = data.get("description")
    purpose = text(described, "purpose") if isinstance(described, dict) else None
    return " ".join((purpose or text(table, "description") or "").split())
