"""What other engines are told to find the lake."""

from __future__ import annotations

NAME = "lake"
# Where a client's own token goes: the server's is not to be seen on screens and in logs.
TOKEN = "<token>"  # noqa: S105
_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
_CATALOGUE = "org.apache.iceberg.spark.SparkCatalog"


def spark(uri: str, *, token: str = "") -> dict[str, str]:
    """Spark properties by which the lake is the catalogue `lake`."""
    ours = f"spark.sql.catalog.{NAME}"
    return {
        "spark.sql.extensions": _EXTENSIONS,
        ours: _CATALOGUE,
        f"{ours}.type": "rest",
        f"{ours}.uri": uri,
        # Runs change the lake behind Spark's back.
        f"{ours}.cache-enabled": "false",
        **({f"{ours}.token": token} if token else {}),
    }


def pyiceberg(uri: str, *, token: str = "") -> dict[str, str]:
    """Properties for pyiceberg's `load_catalog`."""
    return {"type": "rest", "uri": uri, **({"token": token} if token else {})}


def as_text(uri: str, *, token: str = "") -> str:
    """Both, to be copied."""
    options = " \\\n".join(f"  --conf {name}={value}" for name, value in spark(uri, token=token).items())
    given = ", ".join(f'{name}="{value}"' for name, value in pyiceberg(uri, token=token).items())
    return (
        f"Spark (with Iceberg's runtime, org.apache.iceberg:iceberg-spark-runtime):\n\n"
        f"  spark-sql \\\n{options}\n\n"
        f"pyiceberg:\n\n  from pyiceberg.catalog import load_catalog\n"
        f'  catalog = load_catalog("{NAME}", {given})\n'
    )
