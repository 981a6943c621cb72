"""Versions of landed objects that are no longer their keys' latest: jobs read keys, so each is given one of its own."""

from __future__ import annotations

from typing import Any

from tapehouse.handlers.arrivals import ABSENT, Arrival, GoneError
from tapehouse.handlers.landing import PREFIX
from tapehouse.handlers.surroundings import error_code

FOLDER = "superseded"
_NULL = "null"  # what the service calls the version of an object from before a bucket had versions


class Versions:
    """Tells versions that are the latest from those that are not."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def latest(self, arrival: Arrival) -> Arrival | None:
        """The arrival itself where its version is the key's latest; else its copy, if there is one. None where the copy
        has been made now: its own event follows. Raises GoneError for a key that was deleted, and for a version that is
        there no more.
        """
        if arrival.version in ("", _NULL):
            return arrival
        version = self._version(arrival.bucket, arrival.key)
        if version is None:
            raise GoneError(arrival.place)
        if version == arrival.version:
            return arrival
        key = copy_key(arrival)
        copied = self._version(arrival.bucket, key)
        if copied is not None:
            return Arrival(arrival.bucket, key, copied)
        self._copy(arrival, key)
        return None

    def _version(self, bucket: str, key: str) -> str | None:
        from botocore.exceptions import ClientError

        try:
            return str(self._s3.head_object(Bucket=bucket, Key=key).get("VersionId") or "")
        except ClientError as error:
            if error_code(error) in ABSENT:
                return None
            raise

    def _copy(self, arrival: Arrival, key: str) -> None:
        """By the service, in parts where it is large."""
        from botocore.exceptions import ClientError

        source = {"Bucket": arrival.bucket, "Key": arrival.key, "VersionId": arrival.version}
        try:
            # Tags are of the object that was put; reading them would take permissions of its own.
            self._s3.copy(source, arrival.bucket, key, ExtraArgs={"TaggingDirective": "REPLACE"})
        except ClientError as error:
            if error_code(error) in ABSENT:
                raise GoneError(arrival.place) from error
            raise


def copy_key(arrival: Arrival) -> str:
    """Where a version that is not the latest is copied to."""
    rest = arrival.key.removeprefix(f"{PREFIX}{arrival.dataset}/")
    return f"{PREFIX}{arrival.dataset}/{FOLDER}/{arrival.version}/{rest}"
