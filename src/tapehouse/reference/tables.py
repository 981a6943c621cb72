"""Reference tables of a contract: loaded from CSV or Parquet, typed, versioned, and looked up as of an event.

A table maps its key columns (and, with `valid_from`, the latest version not after the event) to one of its rows. A
lookup first finds row numbers, 7 ns a row for a text key, and then gathers any number of columns by them.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.expr_types import lookup_type
from tapehouse.contracts.model import Calendar, Column, Contract, Kind, ReferenceTable
from tapehouse.contracts.rules.base import RuleScope
from tapehouse.errors import ReferenceDataError
from tapehouse.reference.calendars import Sessions, calendar_version, sessions
from tapehouse.reference.values import POLARS_TYPES, reader

Int64s = npt.NDArray[np.int64]

_NS_PER_YEAR_MIN = 365 * 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Table:
    """A loaded reference table, sorted by key and version. `version` is the sha256 of the file's bytes.

    `codes` names the distinct keys; `starts[c]:starts[c + 1]` are the rows of key code c, and `valid_from` their
    instants (empty: each key has one row, valid always).
    """

    name: str
    version: str
    frame: pl.DataFrame
    keys: tuple[str, ...]
    codes: pl.DataFrame
    starts: Int64s
    valid_from: Int64s
    members: pl.Enum | None = None

    def rows(self, by: pl.DataFrame, event_ns: pl.Series | None) -> pl.Series:
        """Row number in `frame` for each row of `by` (the key columns in order); null where there is none.

        `event_ns` is needed only by a table with versions; where it is null the row has no version.
        """
        codes = self._codes(by)
        if not len(self.valid_from) or event_ns is None:
            return codes
        return self._as_of(codes, event_ns)

    def _codes(self, by: pl.DataFrame) -> pl.Series:
        if self.members is not None:
            return by.to_series().cast(self.members, strict=False).to_physical()
        wanted = by.rename(dict(zip(by.columns, self.keys, strict=True)))
        types = {name: self.codes.schema[name] for name in self.keys}
        return wanted.cast(types, strict=False).join(  # type: ignore[arg-type]
            self.codes, on=self.keys, how="left", maintain_order="left"
        )["_code"]

    def _as_of(self, codes: pl.Series, event_ns: pl.Series) -> pl.Series:
        moments = np.unique(self.valid_from)
        first, last = event_ns.min(), event_ns.max()
        if not isinstance(first, int) or not isinstance(last, int):
            return pl.repeat(None, len(codes), dtype=pl.UInt32, eager=True)
        ranks = np.searchsorted(moments, np.array([first, last]), side="right")
        if ranks[0] == ranks[1]:
            # No version begins among these events, as on nearly every slice: one row per key serves them all.
            per_key = self._versions(
                np.arange(len(self.starts) - 1), np.repeat(ranks[:1], len(self.starts) - 1), moments
            )
            found = per_key.gather(codes)
        else:
            code = codes.fill_null(0).to_numpy().astype(np.int64)
            rank = np.searchsorted(moments, event_ns.fill_null(first).to_numpy(), side="right")
            found = self._versions(code, rank, moments).set(codes.is_null(), None)
        return found if not event_ns.null_count() else found.set(event_ns.is_null(), None)

    def _versions(self, codes: Int64s, ranks: Int64s, moments: Int64s) -> pl.Series:
        """Row of each key code at the time after `rank` of all the table's moments; null before its first version.

        One search over (key, moment) pairs, with moments replaced by their rank so that a pair is one integer.
        """
        stride = len(moments) + 1
        key_of_row = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        places = key_of_row * stride + np.searchsorted(moments, self.valid_from, side="left") + 1
        found = np.searchsorted(places, codes * stride + ranks, side="right") - 1
        valid = found >= self.starts[codes]
        return pl.Series(np.where(valid, found, 0).astype(np.uint32)).set(pl.Series(~valid), None)


@dataclass(frozen=True, slots=True)
class References:
    """The reference tables and calendars of one contract."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)

    @classmethod
    def load(
        cls, contract: Contract, paths: Mapping[str, Path] | None = None, *, base: Path | None = None
    ) -> References:
        """Load every table of the contract.

        `paths` gives files by table name and wins over the contract's own `path`, which is relative to `base`
        (default: the working directory). Raises ReferenceDataError when a file is missing or does not fit.
        """
        given = dict(paths or {})
        unknown = sorted(set(given) - set(contract.references))
        if unknown:
            raise ReferenceDataError(
                f"the contract {contract.name!r} has no reference table {unknown[0]!r}",
                fix=f"name one of: {', '.join(sorted(contract.references)) or '(it has none)'}",
            )
        columns = {column.name: column for column in contract.columns}
        tables = {
            name: load_table(spec, _located(spec, given, base), columns) for name, spec in contract.references.items()
        }
        return cls(tables, dict(contract.calendars))

    def sessions(self, calendar: str, first_ns: int, last_ns: int, instants: pl.Series) -> Sessions:
        """Sessions of `calendar` in the years of `instants`, all of which lie in [first_ns, last_ns]."""
        if last_ns - first_ns < _NS_PER_YEAR_MIN:
            years = {_year_of(first_ns), _year_of(last_ns)}
        else:
            years = set(instants.drop_nulls().cast(pl.Datetime("ns")).dt.year().unique().to_list())
        return sessions(self.calendars[calendar], tuple(sorted(years)))

    def versions(self) -> dict[str, str]:
        """Version of each table and calendar, for the record of a run (I7)."""
        found = {f"table:{name}": f"sha256:{table.version}" for name, table in self.tables.items()}
        return found | {f"calendar:{name}": calendar_version(spec) for name, spec in self.calendars.items()}


def _year_of(instant_ns: int) -> int:
    return int(np.datetime64(instant_ns, "ns").astype("datetime64[Y]").astype(np.int64)) + 1970


def _located(spec: ReferenceTable, given: Mapping[str, Path], base: Path | None) -> Path:
    path = given.get(spec.name) or (Path(base or ".") / spec.path if spec.path else None)
    if path is None:
        raise ReferenceDataError(
            f"no file was given for reference table {spec.name!r}",
            fix=f"pass --reference {spec.name}=FILE, or set `path` of the table in the contract",
        )
    return Path(path)


def load_table(spec: ReferenceTable, path: Path, columns: Mapping[str, Column]) -> Table:
    """Read, type and index one table. Raises ReferenceDataError naming file, line, column and value."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ReferenceDataError(f"{path}: cannot read reference table {spec.name!r}: {error.strerror}") from error
    text, lines = _as_text(raw, path)
    wanted = [*spec.keys, *(name for name in spec.columns if name not in spec.keys)]
    wanted += [spec.valid_from] if spec.valid_from and spec.valid_from not in wanted else []
    absent = [name for name in wanted if name not in text.columns]
    if absent:
        raise ReferenceDataError(
            f"{path}: reference table {spec.name!r} has no column {absent[0]!r}",
            fix=f"its columns are: {', '.join(text.columns)}",
        )
    series = [_typed(text[name], *_type_of(spec, name, columns), path, lines) for name in wanted]
    return _indexed(spec, pl.DataFrame(series).with_columns(_line=pl.Series(lines)), hashlib.sha256(raw), path)


def _as_text(raw: bytes, path: Path) -> tuple[pl.DataFrame, list[int]]:
    """The file as text columns (null: empty) and each row's line; of Parquet, its 1-based row. Blank and `#` lines of a
    CSV are skipped."""
    try:
        if raw[:4] == b"PAR1":
            frame = pl.read_parquet(BytesIO(raw))
            texts = frame.select(_to_text(name, kind) for name, kind in frame.schema.items())
            return texts, list(range(1, frame.height + 1))
        return _csv_as_text(raw.decode("utf-8-sig"), path)
    except (pl.exceptions.PolarsError, csv.Error, UnicodeDecodeError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise ReferenceDataError(f"{path}: neither a CSV nor a Parquet file: {first_line}") from error


def _csv_as_text(text: str, path: Path) -> tuple[pl.DataFrame, list[int]]:
    records = csv.reader(StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[list[str | None]] = []
    lines: list[int] = []
    for record in records:
        if not record or record[0].startswith("#"):
            continue
        if not header:
            header = record
            continue
        if len(record) > len(header):
            raise ReferenceDataError(
                f"{path}:{records.line_num}: {len(record)} fields, the header has {len(header)}",
                fix="quote fields that contain a comma",
            )
        # A line may leave out its last fields: they are empty.
        rows.append([cell or None for cell in record] + [None] * (len(header) - len(record)))
        lines.append(records.line_num)
    if not header or len(set(header)) < len(header):
        fault = "has a column twice" if header else "is empty"
        raise ReferenceDataError(
            f"{path}: the reference table {fault}", fix="give it one header line of distinct names"
        )
    return pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row"), lines


def _to_text(name: str, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        return pl.col(name).dt.replace_time_zone(None).dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
    return pl.col(name).cast(pl.String)


def _type_of(spec: ReferenceTable, name: str, columns: Mapping[str, Column]) -> tuple[Kind, int]:
    if name == spec.valid_from:
        return Kind.TIMESTAMP, 0
    found = lookup_type(RuleScope(columns, {}, {spec.name: spec}), spec.name, name)
    return found.kind, found.scale


def _typed(cells: pl.Series, kind: Kind, scale: int, path: Path, lines: list[int]) -> pl.Series:
    if kind == Kind.STRING:
        return cells
    read = reader(kind, scale)
    values: list[object] = []
    for line, cell in zip(lines, cells, strict=True):
        try:
            values.append(None if cell is None else read(cell))
        except ValueError as error:
            raise ReferenceDataError(
                f"{path}:{line}: column {cells.name!r} holds {cell!r}", fix=f"allowed: {error}"
            ) from error
    return pl.Series(cells.name, values, dtype=POLARS_TYPES[kind])


def _indexed(spec: ReferenceTable, frame: pl.DataFrame, digest: hashlib._Hash, path: Path) -> Table:
    needed = [*spec.keys, *([spec.valid_from] if spec.valid_from else [])]
    for name in needed:
        if frame[name].null_count():
            line = frame.filter(pl.col(name).is_null())["_line"][0]
            raise ReferenceDataError(f"{path}:{line}: column {name!r} is empty", fix="every row needs its key")
    repeated = frame.filter(pl.struct(needed).is_first_distinct().not_())
    if repeated.height:
        shown = ", ".join(f"{name}={repeated[name][0]!r}" for name in needed)
        raise ReferenceDataError(
            f"{path}:{repeated['_line'][0]}: {shown} is there twice",
            fix="keep one row per key" + (" and validity date" if spec.valid_from else ", or give `validFrom`"),
        )
    ordered = frame.drop("_line").sort(needed)
    keys = ordered.select(spec.keys)
    firsts = keys.select(pl.struct(pl.all()).is_first_distinct().arg_true()).to_series().to_numpy().astype(np.int64)
    codes = keys[firsts.tolist()].with_columns(_code=pl.int_range(len(firsts), dtype=pl.UInt32, eager=True))
    text_key = len(spec.keys) == 1 and codes.schema[spec.keys[0]] == pl.String
    return Table(
        name=spec.name,
        version=digest.hexdigest(),
        frame=ordered,
        keys=spec.keys,
        codes=codes,
        starts=np.append(firsts, ordered.height),
        valid_from=ordered[spec.valid_from].to_numpy() if spec.valid_from else np.empty(0, np.int64),
        members=pl.Enum(codes[spec.keys[0]]) if text_key else None,
    )
