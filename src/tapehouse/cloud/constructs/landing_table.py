"""How Athena reads what has landed and not been judged: every field as text, by the hour that it came in."""

from __future__ import annotations

from typing import Any

from tapehouse.cloud.datasets import Dataset
from tapehouse.contracts.model import Contract
from tapehouse.feeds.virtual import file_columns, source_name

FIRST_DAY = "2020-01-01"
_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"


def landing_table(dataset: Dataset, name: str, location: str) -> dict[str, Any] | None:
    """`TableInput` of Glue for the objects under `location` (an s3:// address ending in a slash); None for formats that
    are not lines of text (dbn, parquet).

    Partitions are computed by Athena from their pattern, so none is ever added or repaired. Of CSV, the columns are
    taken in the contract's order; files that have them in another are read wrongly here (and rightly by the run).
    """
    contract = dataset.contract
    serde = _SERDES.get(contract.feed.format)
    if serde is None:
        return None
    return {
        "Name": name,
        "Description": f"What landed of {contract.name}, as text",
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "date", "Type": "string"}, {"Name": "hour", "Type": "string"}],
        "Parameters": {
            "EXTERNAL": "TRUE",
            "classification": "json" if contract.feed.format == "ndjson" else "csv",
            **({"skip.header.line.count": "1"} if contract.feed.format == "csv" and contract.feed.header else {}),
            "projection.enabled": "true",
            "projection.date.type": "date",
            "projection.date.format": "yyyy-MM-dd",
            "projection.date.range": f"{FIRST_DAY},NOW",
            "projection.hour.type": "integer",
            "projection.hour.range": "0,23",
            "projection.hour.digits": "2",
            "storage.location.template": f"{location}date=${{date}}/hour=${{hour}}/",
        },
        "StorageDescriptor": {
            "Columns": [{"Name": source_name(one).lower(), "Type": "string"} for one in file_columns(contract)],
            "Location": location,
            "InputFormat": _TEXT_INPUT,
            "OutputFormat": _TEXT_OUTPUT,
            "SerdeInfo": serde(contract),
        },
    }


def _csv(contract: Contract) -> dict[str, Any]:
    feed = contract.feed
    # Without a quote character in the contract, one that does not occur in text takes its place.
    parameters = {"separatorChar": feed.delimiter, "quoteChar": "\x01" if feed.quote is None else feed.quote}
    return {"SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde", "Parameters": parameters}


def _json(contract: Contract) -> dict[str, Any]:
    parameters = {"ignore.malformed.json": "true", "case.insensitive": "true"}
    return {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe", "Parameters": parameters}


_SERDES = {"csv": _csv, "ndjson": _json}
