"""A dataset contract, typed: what the rest of Tapehouse sees of the YAML. Pure data, no I/O, no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tapehouse.contracts.expr import Expr
from tapehouse.contracts.units import Unit


class Kind(StrEnum):
    """Canonical column types, as the kernel holds them and as the lake stores them.

    ========== ======================= =============================
    kind       kernel (Polars)         lake (Iceberg v2)
    ========== ======================= =============================
    INTEGER    Int64                   long
    DECIMAL    Int64, scaled by 10^s   decimal(18, s)
    DOUBLE     Float64                 double
    STRING     String                  string
    BOOLEAN    Boolean                 boolean
    TIMESTAMP  Int64, ns since epoch   long (ns); the event time also as timestamptz (us) in `_event_time`
    DATE       Date                    date
    ========== ======================= =============================
    """

    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    STRING = "string"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"


class Role(StrEnum):
    """What a column is for; at most one column per role except MEASURE and CHANNEL."""

    EVENT_TIME = "event_time"
    RECEIVE_TIME = "receive_time"
    SYMBOL = "symbol"
    VENUE = "venue"
    PRICE = "price"
    SIZE = "size"
    SEQUENCE = "sequence"
    CHANNEL = "channel"
    BID = "bid"
    BID_SIZE = "bid_size"
    ASK = "ask"
    ASK_SIZE = "ask_size"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"


class Grammar(StrEnum):
    """How text becomes a value. Each kind has a default; timestamps must say theirs.

    `decimal`: optional sign, digits, optional point and at most the column's scale of decimals; no exponent.
    `scaled`: an integer that already is value x 10^`source_scale`. `hex`: base 16, no prefix needed.
    `iso8601`: date `T` or space, time, up to nine decimals, then `Z` or a UTC offset, or none when a zone is given.
    `epoch_*`: integer since 1970-01-01 UTC. `ms_of_day`: milliseconds since local midnight of the `date` captured from
    the batch's path. `strptime`: with `format`.
    """

    INTEGER = "integer"
    HEX = "hex"
    DECIMAL = "decimal"
    SCALED = "scaled"
    DOUBLE = "double"
    TEXT = "text"
    BOOLEAN = "boolean"
    ISO8601 = "iso8601"
    EPOCH_S = "epoch_s"
    EPOCH_MS = "epoch_ms"
    EPOCH_US = "epoch_us"
    EPOCH_NS = "epoch_ns"
    MS_OF_DAY = "ms_of_day"
    STRPTIME = "strptime"
    DATE = "date"


class Severity(StrEnum):
    """REJECT sends the row to quarantine (or, for a batch check, stops publication); WARN counts it and flags it."""

    REJECT = "reject"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the dataset.

    `source` is its name in the batch, or `path:NAME` for a group captured from the batch's path. `scale` is the number
    of decimals of a DECIMAL in kernel and lake; `source_scale` that of a `scaled` grammar. `zone` is an IANA name for
    local times; empty means that every time must state its own offset (`iso8601`) or is UTC (other grammars).
    `null_values` are the texts that mean null besides the feed's. `sentinels` are canonical values that mean "not
    updated" and become null (they are not a fault). Positions are 1-based, for error messages.
    """

    name: str
    kind: Kind
    grammar: Grammar
    source: str
    required: bool = False
    unit: Unit = Unit.ANY
    scale: int = 0
    source_scale: int = 0
    zone: str = ""
    format: str = ""
    null_values: tuple[str, ...] = ()
    sentinels: tuple[int | float | str, ...] = ()
    role: Role | None = None
    measure: bool = False
    classification: str = ""
    currency: str = ""
    description: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule on rows: `broken` is true where a row breaks it.

    `code` is stable: it appears in the lake for as long as the lake lives. `observed` is what a quarantined row reports
    as its value and `bound` what it reports as the limit: an expression, or a fixed text. `budget` is the greatest
    share of a run's rows (0..1) that may break the rule before the run publishes nothing; None is no limit.
    """

    code: str
    kind: str
    broken: Expr
    severity: Severity = Severity.REJECT
    observed: Expr | None = None
    bound: Expr | str = ""
    columns: tuple[str, ...] = ()
    budget: float | None = None
    description: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class BatchRule:
    """A rule on a whole batch against its own totals or the history of earlier batches.

    `kind` is one of `row_count_anomaly`, `freshness`, `control_total`; `params` are checked against that kind's schema.
    """

    code: str
    kind: str
    params: Mapping[str, Any]
    severity: Severity = Severity.REJECT
    description: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """How bytes become records. `path` is a regular expression searched in the input's path; its groups feed columns
    whose source is `path:NAME`. `options` are the format's own, already checked by the format's schema.
    """

    format: str = "csv"
    header: bool = True
    delimiter: str = ","
    quote: str | None = '"'
    comment: str | None = None
    empty_is_null: bool = True
    null_values: tuple[str, ...] = ()
    path: str = ""
    member: str = "*"
    extra_columns: str = "reject"  # reject | ignore
    max_record_bytes: int = 1 << 20
    max_expansion: int = 200
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """Identity of a row: of rows with equal `columns` one is kept, the first by `keep_first_by` (then by batch digest
    and record number); the others are counted as duplicates. A contract without a key is never deduplicated.
    `window_days` bounds how far in event time the lake is searched for an earlier copy.
    """

    columns: tuple[str, ...]
    keep_first_by: tuple[str, ...] = ()
    window_days: int = 7


@dataclass(frozen=True, slots=True)
class Partitioning:
    """Partition of curated rows by event time in UTC: `hour`, `day` or `month`; and their order within a partition."""

    by: str = "day"
    sort: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Derivation:
    """A table computed from curated partitions. `kind` is `bars` (params: `interval_seconds`) or `bbo`."""

    name: str
    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Trading sessions. Either `exchange` (an ISO 10383 MIC of the exchange calendar library) or fixed `sessions`:
    (weekdays 0-6, start, end) with times as seconds since local midnight in `zone`; end above 86400 is next day.
    `holidays` are ISO dates without a session, `early_closes` ISO date -> seconds since local midnight.
    """

    name: str
    zone: str = "UTC"
    exchange: str = ""
    sessions: tuple[tuple[tuple[int, ...], int, int], ...] = ()
    holidays: tuple[str, ...] = ()
    early_closes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """A reference file joined by `Lookup`. `keys` and `columns` name its columns; `columns` maps a name to the contract
    column whose type and scale it takes, or to a kind (a decimal with its scale: `decimal:4`). `valid_from` names its
    as-of column, if it has one. `path` may be empty: the run then must be given one.
    """

    name: str
    keys: tuple[str, ...]
    columns: Mapping[str, str]
    path: str = ""
    valid_from: str = ""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days after which expiry may remove rows; None keeps them for ever."""

    curated_days: int | None = None
    quarantine_days: int | None = None
    raw_days: int | None = None
    lineage_days: int | None = 90


@dataclass(frozen=True, slots=True)
class Contract:
    """One dataset contract. `digest` is the sha256 of its source bytes; `name` is also its namespace in the lake."""

    id: str
    name: str
    version: str
    digest: str
    source: str
    columns: tuple[Column, ...]
    rules: tuple[RowRule, ...]
    batch_rules: tuple[BatchRule, ...] = ()
    feed: Feed = field(default_factory=Feed)
    key: Key | None = None
    partitioning: Partitioning = field(default_factory=Partitioning)
    derived: tuple[Derivation, ...] = ()
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    references: Mapping[str, ReferenceTable] = field(default_factory=dict)
    filter: Expr | None = None
    budget: float | None = None
    retention: Retention = field(default_factory=Retention)
    service_levels: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    description: str = ""

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def role(self, role: Role) -> Column | None:
        """The column that plays `role`, if any."""
        return next((column for column in self.columns if column.role == role), None)

    @property
    def event_time(self) -> Column:
        """The event-time column: every contract has one."""
        column = self.role(Role.EVENT_TIME)
        if column is None:
            raise KeyError("event_time")
        return column

    @property
    def measures(self) -> tuple[str, ...]:
        """Columns whose sums the conservation proof carries."""
        return tuple(column.name for column in self.columns if column.measure)
