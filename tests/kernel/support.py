"""Columns, contracts and judges for the kernel's tests, built in memory."""

from __future__ import annotations

from tapehouse.contracts.model import Column, Contract, Derivation, Grammar, Key, Kind, Partitioning, Role

DEFAULT = {
    Kind.INTEGER: Grammar.INTEGER,
    Kind.DECIMAL: Grammar.DECIMAL,
    Kind.DOUBLE: Grammar.DOUBLE,
    Kind.STRING: Grammar.TEXT,
    Kind.BOOLEAN: Grammar.BOOLEAN,
    Kind.TIMESTAMP: Grammar.ISO8601,
    Kind.DATE: Grammar.DATE,
}


def column(name: str, kind: Kind, grammar: Grammar | None = None, **facts: object) -> Column:
    """A column with the default grammar of its kind."""
    return Column(name, kind, grammar if grammar is not None else DEFAULT[kind], name, **facts)  # type: ignore[arg-type]


def contract(*columns: Column, **facts: object) -> Contract:
    """A contract without rules over `columns`."""
    return Contract("urn:test", "test", "1.0.0", "0" * 64, "<test>", columns, (), **facts)  # type: ignore[arg-type]


TIME = column("t", Kind.TIMESTAMP, Grammar.EPOCH_NS, role=Role.EVENT_TIME)
RECEIVED = column("r", Kind.TIMESTAMP, Grammar.EPOCH_NS, role=Role.RECEIVE_TIME)
SYMBOL = column("s", Kind.STRING, role=Role.SYMBOL)
PRICE = column("p", Kind.DECIMAL, role=Role.PRICE, scale=4)
SIZE = column("q", Kind.INTEGER, role=Role.SIZE, measure=True)
BARS = Derivation("bars_1m", "bars", {"interval_seconds": 60})
TRADES = contract(
    TIME, RECEIVED, SYMBOL, PRICE, SIZE, key=Key(("s", "q")), derived=(BARS,), partitioning=Partitioning("hour")
)
