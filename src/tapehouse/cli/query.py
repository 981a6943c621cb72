"""`query`: SQL over the lake."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tapehouse.cli.options import LAKE, Json, LakeFolder, Limit

if TYPE_CHECKING:
    from tapehouse.rows import Rows


class Format(StrEnum):
    """Forms of the answer."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def query(
    sql: Annotated[
        str,
        typer.Argument(
            metavar="SQL", help="One SELECT, DESCRIBE, SHOW or SUMMARIZE (DuckDB's SQL).", show_default=False
        ),
    ],
    lake: LakeFolder = LAKE,
    as_of: Annotated[
        str,
        typer.Option(
            "--as-of",
            metavar="TIME|RUN",
            help="The lake as it was then (UTC unless it says otherwise), or right after that run.",
            show_default="now",
        ),
    ] = "",
    form: Annotated[Format, typer.Option("--format", "-f", help="Form of the answer.")] = Format.TABLE,
    limit: Limit = 1000,
    as_json: Json = False,
) -> None:
    """Ask the lake in SQL.

    Tables are called CONTRACT.TABLE: consolidated_trades.curated, tapehouse.runs, ...

    The limit holds for tables on the screen only; csv and json are whole.

    \b
    Examples:
      tapehouse query "select symbol, count(*) from consolidated_trades.curated group by symbol" --lake lake
      tapehouse query "show all tables" --lake lake
      tapehouse query "select * from consolidated_trades.bars_1m" --as-of 2024-03-05 --format csv > bars.csv
    """
    from tapehouse import api
    from tapehouse.cli.interrupts import hear_interrupts
    from tapehouse.cli.parse import moment

    if as_json:
        form = Format.JSON
    then = None if not as_of else as_of if _is_run(as_of) else moment(as_of, "--as-of")
    hear_interrupts()
    rows = api.query(lake, sql, as_of=then)
    if form == Format.CSV:
        _csv(rows)
    elif form == Format.JSON:
        _json(rows)
    else:
        _table(rows, limit)


def _is_run(text: str) -> bool:
    """Run ids are a time, `Z-`, and eight hex digits."""
    return "Z-" in text


def _csv(rows: Rows) -> None:
    import pyarrow as pa
    import pyarrow.csv

    flat = rows.table
    for index, field in enumerate(flat.schema):
        if pa.types.is_nested(field.type) or pa.types.is_decimal(field.type) or pa.types.is_binary(field.type):
            texts = [_text(value) for value in flat.column(index).to_pylist()]
            flat = flat.set_column(index, field.name, pa.array(texts, pa.string()))
    pyarrow.csv.write_csv(flat, sys.stdout.buffer)


def _text(value: object) -> str | None:
    import json

    from tapehouse.jsonable import json_form

    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        return json.dumps(value, default=json_form, ensure_ascii=False)
    shown = json_form(value)
    return shown if isinstance(shown, str) else json.dumps(shown)


def _json(rows: Rows) -> None:
    from tapehouse.cli.output import emit

    columns = [{"name": field.name, "type": str(field.type)} for field in rows.table.schema]
    emit({"columns": columns, "row_count": len(rows), "rows": rows.to_dicts()})


def _table(rows: Rows, limit: int) -> None:
    from tapehouse.cli.output import note, table

    table(rows.columns, [list(row.values()) for row in rows.table.slice(0, limit).to_pylist()], exact=True)
    if len(rows) > limit:
        note(f"{len(rows) - limit:,} more rows; raise --limit, or use --format csv")
