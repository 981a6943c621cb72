"""The reference job in Spark SQL: python spark_job.py SRC_DIR OUT_DIR

Writes OUT_DIR/curated/hour=*/*.parquet (sorted by symbol, ts_event), quarantine.parquet and bars.parquet, and prints
the counts as JSON. Choices that were measured and kept are told beside them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from tapehouse.engines.spark.java import java_home

# fmt: off
VENUES = ("XNAS", "XNYS", "ARCX", "BATS", "BATY", "EDGX", "EDGA", "XBOS",
          "XPHL", "IEXG", "MEMX", "XCHI", "XASE", "LTSE", "EPRL", "FINR")
# fmt: on
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
COLUMNS = (
    "ts_event string, ts_recv string, symbol string, venue string, price string, size bigint, trade_id string, "
    "sequence bigint, conditions string, side string"
)
NAMES = [column.split()[0] for column in COLUMNS.split(", ")]
# Rule code -> SQL that is true where a row breaks it; null counts as kept.
RULES = {
    "ts_event_invalid": "event_ns is null",
    "ts_recv_invalid": "recv_ns is null or recv_ns <= 0",
    "recv_before_event": "recv_ns < event_ns",
    "late": f"recv_ns - event_ns > {HOUR_NS}",
    "symbol_missing": "symbol is null",
    "symbol_unknown": "symbol is not null and ref_price is null",
    "venue_unknown": f"venue is null or venue not in ({', '.join(repr(venue) for venue in VENUES)})",
    "price_invalid": "p is null",
    "price_not_positive": "p <= 0",
    "size_not_positive": "size <= 0",
    "out_of_session": f"event_ns % {DAY_NS} < 52200000000000 or event_ns % {DAY_NS} >= 75600000000000",
    "price_band": "abs(p - ref_price) * 5 > ref_price",
}
# Spark's timestamps end at microseconds: whole seconds by its own parser, the rest of the digits beside them.
EVENT_NS = r"""
    case when ts_event rlike '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d[.]\\d{1,9}Z$'
         then unix_seconds(try_to_timestamp(substring(ts_event, 1, 19), "yyyy-MM-dd'T'HH:mm:ss")) * 1000000000
              + cast(rpad(substring(ts_event, 21, length(ts_event) - 21), 9, '0') as bigint) end
"""


def session(scratch: Path) -> SparkSession:
    """Two processors; as many shuffle partitions, and memory enough for the judged rows."""
    os.environ["JAVA_HOME"] = str(java_home(scratch / "java"))
    return (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "8g")
        .config("spark.local.dir", str(scratch))
        .config("spark.log.level", "ERROR")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .getOrCreate()
    )


def judged(spark: SparkSession, source: Path) -> DataFrame:
    """Typed columns, the bitmask of broken rules, and the source texts."""
    ref = spark.read.csv(f"{source}/ref.csv", header=True, schema="symbol string, ref_price decimal(18,6)")
    rows = spark.read.csv(f"{source}/trades_*.csv", header=True, schema=COLUMNS)
    mask = " | ".join(f"(case when {sql} then {1 << bit} else 0 end)" for bit, sql in enumerate(RULES.values()))
    return (
        rows.join(f.broadcast(ref), "symbol", "left")
        .withColumn("event_ns", f.expr(EVENT_NS))
        .withColumn("recv_ns", f.expr(r"case when ts_recv rlike '^-?\\d+$' then try_cast(ts_recv as bigint) end"))
        .withColumn(
            "p",
            f.expr(r"case when price rlike '^[+-]?\\d+([.]\\d{0,6})?$' then try_cast(price as decimal(18, 6)) end"),
        )
        .withColumn("broken", f.expr(mask))
    )


def write_quarantine(rows: DataFrame, out: Path) -> None:
    """Rejected rows with the source texts and the codes of all rules they break."""
    codes = ", ".join(f"case when broken & {1 << bit} <> 0 then '{code}' end" for bit, code in enumerate(RULES))
    refused = rows.where("broken <> 0").select(*NAMES, f.expr(f"array_compact(array({codes}))").alias("reasons"))
    refused.write.parquet(f"{out}/quarantine.parquet")


def curated(rows: DataFrame) -> DataFrame:
    """Of rows with equal (venue, trade_id) the one received first.

    Looking for repeated keys first, and numbering only their rows, took as long.
    """
    good = rows.where("broken = 0").select(
        f.col("event_ns").alias("ts_event"), f.col("recv_ns").alias("ts_recv"), "symbol", "venue",
        f.col("p").alias("price"), "size", "trade_id", "sequence", "conditions", "side",
        f.expr(f"event_ns div {HOUR_NS}").alias("hour"),
    )  # fmt: skip
    first = f.expr("row_number() over (partition by venue, trade_id order by ts_recv)")
    return good.withColumn("copy", first).where("copy = 1").drop("copy")


def write_curated(rows: DataFrame, out: Path) -> None:
    """One sorted file per hour."""
    by_hour = rows.repartition("hour").sortWithinPartitions("hour", "symbol", "ts_event")
    by_hour.write.partitionBy("hour").parquet(f"{out}/curated")


def write_bars(spark: SparkSession, out: Path) -> None:
    """Open, high, low, close, volume, VWAP and number of trades per symbol and minute (since 1970), from what was
    written: computing the curated rows a second time costs more than reading them.
    """
    spark.read.parquet(f"{out}/curated").groupBy("symbol", f.expr(f"ts_event div {MINUTE_NS}").alias("minute")).agg(
        f.expr("min_by(price, ts_event)").alias("open"),
        f.max("price").alias("high"),
        f.min("price").alias("low"),
        f.expr("max_by(price, ts_event)").alias("close"),
        f.sum("size").alias("volume"),
        f.expr("cast(sum(price * size) as double) / sum(size)").alias("vwap"),
        f.count("*").alias("trades"),
    ).write.parquet(f"{out}/bars.parquet")


def counts(spark: SparkSession, rows: DataFrame, out: Path) -> dict[str, object]:
    """The numbers every peer prints."""
    sums = [f.expr(f"sum((broken >> {bit}) & 1)").alias(code) for bit, code in enumerate(RULES)]
    found = rows.agg(f.count("*").alias("rows"), f.expr("count_if(broken <> 0)").alias("rejected"), *sums).first()
    kept = spark.read.parquet(f"{out}/curated").count()
    return {
        "rows_in": found["rows"],
        "curated": kept,
        "quarantined": found["rejected"],
        "duplicates": found["rows"] - found["rejected"] - kept,
        "rules": {code: int(found[code] or 0) for code in RULES},
    }


def main(source: Path, out: Path) -> None:
    """Run the job from files to files."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        spark = session(Path(scratch))
        # Three queries read the judged rows: kept, they cost two thirds of parsing them three times.
        rows = judged(spark, source).persist(StorageLevel.MEMORY_AND_DISK)
        write_quarantine(rows, out)
        write_curated(curated(rows), out)
        write_bars(spark, out)
        print(json.dumps(counts(spark, rows, out)))
        spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
