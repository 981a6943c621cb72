"""Which types, notations, roles and units go together: the tables behind columns, inference and the reference."""

from __future__ import annotations

from tapehouse.contracts.model import Grammar, Kind, Role
from tapehouse.contracts.units import Unit

KINDS = {
    "integer": Kind.INTEGER,
    "number": Kind.DOUBLE,
    "string": Kind.STRING,
    "boolean": Kind.BOOLEAN,
    "timestamp": Kind.TIMESTAMP,
    "date": Kind.DATE,
}

_TIMES = (
    Grammar.ISO8601,
    Grammar.EPOCH_S,
    Grammar.EPOCH_MS,
    Grammar.EPOCH_US,
    Grammar.EPOCH_NS,
    Grammar.MS_OF_DAY,
    Grammar.STRPTIME,
)
GRAMMARS: dict[Kind, tuple[Grammar, ...]] = {
    Kind.INTEGER: (Grammar.INTEGER, Grammar.HEX),
    Kind.DECIMAL: (Grammar.DECIMAL, Grammar.SCALED),
    Kind.DOUBLE: (Grammar.DOUBLE,),
    Kind.STRING: (Grammar.TEXT,),
    Kind.BOOLEAN: (Grammar.BOOLEAN,),
    Kind.TIMESTAMP: _TIMES,
    Kind.DATE: (Grammar.DATE, Grammar.STRPTIME),
}

NUMBERS = (Kind.DECIMAL, Kind.DOUBLE, Kind.INTEGER)
_PRICE = (Unit.PRICE, NUMBERS)
_SIZE = (Unit.SIZE, NUMBERS)
_NAMING = (Unit.ANY, (Kind.STRING, Kind.INTEGER))
_TIME = (Unit.TIME, (Kind.TIMESTAMP,))
ROLES: dict[Role, tuple[Unit, tuple[Kind, ...]]] = {
    Role.EVENT_TIME: _TIME,
    Role.RECEIVE_TIME: _TIME,
    Role.SYMBOL: _NAMING,
    Role.VENUE: _NAMING,
    Role.PRICE: _PRICE,
    Role.SIZE: _SIZE,
    Role.SEQUENCE: (Unit.ID, (Kind.INTEGER,)),
    Role.CHANNEL: _NAMING,
    Role.BID: _PRICE,
    Role.BID_SIZE: _SIZE,
    Role.ASK: _PRICE,
    Role.ASK_SIZE: _SIZE,
    Role.OPEN: _PRICE,
    Role.HIGH: _PRICE,
    Role.LOW: _PRICE,
    Role.CLOSE: _PRICE,
    Role.VOLUME: _SIZE,
}
