"""Talking to the emulator from within its own process, on threads that may wait for it."""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config

from emulator.options import ROOT_KEY


def endpoint() -> str:
    return f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"


def client(service: str) -> Any:
    """A client with the root's key, in the region of the request that is being served."""
    from ministack.core.responses import get_region

    return boto3.client(
        service,
        endpoint_url=endpoint(),
        region_name=get_region(),
        aws_access_key_id=ROOT_KEY,
        aws_secret_access_key=ROOT_KEY,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def role_session(role_arn: str, name: str) -> dict[str, str]:
    """Credentials of a role, as a service that assumed it has them; `name` is the session's."""
    import hashlib

    from ministack.services import sts

    account = role_arn.split(":")[4]
    role = role_arn.rsplit("/", 1)[-1]
    digest = hashlib.sha256(f"{name}:{role_arn}".encode()).hexdigest()
    found = {
        "AWS_ACCESS_KEY_ID": f"ASIA{digest[:16].upper()}",
        "AWS_SECRET_ACCESS_KEY": digest[16:56],
        "AWS_SESSION_TOKEN": digest,
    }
    sts.register_session(
        found["AWS_ACCESS_KEY_ID"],
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name[:64]}",
            "UserId": f"{role}:{name[:64]}",
            "SecretAccessKey": found["AWS_SECRET_ACCESS_KEY"],
            "SessionToken": found["AWS_SESSION_TOKEN"],
        },
    )
    return found


def allowed(role_arn: str, session: str, action: str, resource: str) -> bool:
    """Whether a role may do something that the emulator does in its name; recorded like a call of the role."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region

    key = role_session(role_arn, session)["AWS_ACCESS_KEY_ID"]
    # No request is being served here, and the services of AWS speak TLS with one another.
    iam_evaluator.pin_request_origin("127.0.0.1", True)
    return iam_evaluator.enforce(key, action, action.split(":")[0], get_region(), resource_arn=resource) is None
