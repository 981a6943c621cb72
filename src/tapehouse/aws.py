"""boto3, imported when it is first needed, and its failures as the operator's to mend.

Endpoint, region and credentials are boto3's own business: AWS_ENDPOINT_URL, AWS_REGION, the role of the machine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tapehouse.errors import LakeError, RunError, TapehouseError

# Requests of one process at a time, at most.
CONNECTIONS = 32
_FIXES = {
    "AccessDenied": "let the role do this, and use the bucket's key",
    "AccessDeniedException": "let the role do this",
    "403": "let the role do this, and use the bucket's key",
    "NoSuchBucket": "check the name; the deployment makes the bucket",
    "ExpiredToken": "renew the credentials and run again",
    "ExpiredTokenException": "renew the credentials and run again",
    "InvalidAccessKeyId": "check the credentials",
    "SlowDown": "run again later",
    "ThrottlingException": "run again later",
}
_clients: dict[tuple[str, str, bool], Any] = {}
_making = threading.Lock()


def client(service: str, region: str = "", *, patient: bool = True) -> Any:
    """boto3's client of a service, one for each process. Raises RunError where boto3 is missing.

    One that is not `patient` gives up within some ten seconds: for what must not hold up a run. Without a region here
    or in the environment, S3 is asked in us-east-1, which sends it on to the bucket's own.
    """
    with _making:
        made = _clients.get((service, region, patient))
        if made is None:
            made = _clients[service, region, patient] = _make(service, region, patient=patient)
        return made


def forget() -> None:
    """Have clients made anew, for an environment that has changed."""
    with _making:
        _clients.clear()


def _make(service: str, region: str, *, patient: bool) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise RunError("boto3 is not installed", fix="pip install 'tapehouse[aws]'") from error
    retries = {"mode": "standard", "max_attempts": 6 if patient else 3}
    timeouts = {"connect_timeout": 5, "read_timeout": 60} if patient else {"connect_timeout": 2, "read_timeout": 3}
    config = Config(max_pool_connections=CONNECTIONS, retries=retries, **timeouts)
    where = region or boto3.session.Session().region_name or "us-east-1"
    return boto3.client(service, region_name=where, config=config)


def region() -> str:
    """The region that boto3 finds in the environment; empty for none."""
    client("s3")
    import boto3

    return str(boto3.session.Session().region_name or "")


def code_of(error: BaseException) -> str:
    """What AWS calls an error, such as `NoSuchKey`; empty for anything that is no answer of AWS."""
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def explain(error: BaseException, doing: str, place: str) -> LakeError | None:
    """An error of boto3 as a LakeError with a way out; None for any other."""
    if not type(error).__module__.startswith(("botocore.", "boto3.", "s3transfer.")):
        return None
    code = code_of(error)
    fix = _FIXES.get(code, "check credentials, region and network, and run again")
    return LakeError(f"{error} while {doing} ({place})", fix=fix)


@contextmanager
def guarded(doing: str, place: str) -> Iterator[None]:
    """Raise trouble with AWS inside the block as LakeError; other exceptions pass unchanged."""
    try:
        yield
    except TapehouseError:
        raise
    except Exception as error:
        known = explain(error, doing, place)
        if known is None:
            raise
        raise known from error
