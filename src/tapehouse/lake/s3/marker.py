"""The object that makes a prefix a lake, and says where its tables and landed bytes are."""

from __future__ import annotations

import json

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake.s3.glue import Glue
from tapehouse.lake.s3.objects import Objects, Tagged

MARKER = "lake.json"
_FORMAT = 1


def make(objects: Objects, database: str, raw: str) -> Tagged:
    """Make an empty lake, or find that somebody else just did; UsageError where no database is named for it."""
    if not database:
        raise UsageError(
            f"there is no lake in {objects.uri}, and no Glue database is named for a new one",
            fix="name it: --database, or open_lake(.., create=True, database=..)",
        )
    Objects.at(raw)
    Glue(database, "", objects.region).check()
    form = {"format": _FORMAT, "database": database, "raw": raw.rstrip("/")}
    objects.swap(MARKER, json.dumps(form, sort_keys=True).encode(), None)
    there = objects.get(MARKER)  # ours, or that of who was first
    if there is None:
        raise LakeError(f"{objects.uri}/{MARKER} vanished", fix="run again")
    return there


def read_marker(objects: Objects, body: bytes) -> dict[str, str]:
    """`database` and `raw` of the lake; LakeError for one of another format."""
    try:
        form = json.loads(body)
        known = form["format"] == _FORMAT
        found = {"database": str(form["database"]), "raw": str(form["raw"])}
    except (ValueError, KeyError, TypeError) as error:
        fix = "restore it from a version of the object"
        raise LakeError(f"{objects.uri}/{MARKER} is damaged", fix=fix) from error
    if not known:
        raise LakeError(f"{objects.uri} has another lake format than {_FORMAT}", fix="upgrade Tapehouse")
    return found
