"""Where a deployment goes: an account and a region of AWS, or an endpoint that speaks like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from tapehouse.cloud.deploy.errors import DeploymentError, way_out

_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `subject` is an asset or a resource (its logical id), `type` the resource's; `done` of
    `total` subjects of the stack are finished (0 of 0 where nothing is counted)."""

    stack: str
    subject: str
    status: str
    type: str = ""
    detail: str = ""
    done: int = 0
    total: int = 0


Progress = Callable[[Event], None]
_P = ParamSpec("_P")
_R = TypeVar("_R")


def refusal(error: ClientError, stack: str = "") -> DeploymentError:
    """AWS's refusal as one of ours."""
    answer = error.response["Error"]
    text = f"{answer['Code']} at {error.operation_name}: {answer['Message']}"
    return DeploymentError(text, stack=stack, fix=way_out(text))


def told(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """What AWS refuses, or does not answer, anywhere in `function` is a DeploymentError that tells what to do."""

    @wraps(function)
    def wrapped(*args: _P.args, **named: _P.kwargs) -> _R:
        try:
            return function(*args, **named)
        except ClientError as error:
            raise refusal(error) from None
        except (BotoCoreError, Boto3Error) as error:
            raise DeploymentError(f"AWS could not be asked: {error}", fix="check the network, then ask again") from None

    return wrapped


def silent(event: Event) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Target:
    """An account and region with the caller's credentials. `endpoint` is empty for AWS itself."""

    session: Any
    account: str
    region: str
    partition: str
    endpoint: str = ""
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, *, session: Any = None, endpoint: str | None = None, region: str | None = None) -> Target:
        """The target of a session (default: the environment's). DeploymentError where there are no credentials, there
        is no region, or nobody answers."""
        session = session if session is not None else boto3.Session(region_name=region)
        region = region if region is not None else session.region_name
        if not region:
            raise DeploymentError("no region is chosen", fix="set region in the settings, or AWS_DEFAULT_REGION")
        try:
            sts = session.client("sts", region_name=region, endpoint_url=endpoint or None, config=_config(5, 1))
            caller = sts.get_caller_identity()
        except NoCredentialsError:
            fix = "log in (aws sso login, aws configure) or set AWS_PROFILE"
            raise DeploymentError("there are no credentials for AWS", fix=fix) from None
        except ClientError as error:
            fix = "log in again, or choose another profile"
            raise DeploymentError(f"AWS does not accept the credentials: {error}", fix=fix) from None
        except (BotoCoreError, NoRegionError) as error:
            where = endpoint or f"AWS in {region}"
            fix = "check the endpoint and the network" if endpoint else "check the region's name and the network"
            raise DeploymentError(f"{where} does not answer: {error}", fix=fix) from None
        partition = caller["Arn"].split(":")[1]
        return cls(session, caller["Account"], region, partition, endpoint or "")

    def client(self, service: str) -> Any:
        """A client that is made once."""
        if service not in self._clients:
            self._clients[service] = self.session.client(
                service, region_name=self.region, endpoint_url=self.endpoint or None, config=_config(60, _RETRIES)
            )
        return self._clients[service]

    def fill(self, text: str) -> str:
        """`text` with this account, region and partition in place of the placeholders of an assembly."""
        known = {"AccountId": self.account, "Region": self.region, "Partition": self.partition}
        for name, value in known.items():
            text = text.replace(f"${{AWS::{name}}}", value)
        return text

    def object_url(self, bucket: str, key: str) -> str:
        """Address of an object, as CloudFormation reads templates."""
        if self.endpoint:
            return f"{self.endpoint.rstrip('/')}/{bucket}/{key}"
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"https://{bucket}.s3.{self.region}.{suffix}/{key}"


def _config(read_seconds: int, retries: int) -> Config:
    return Config(retries={"max_attempts": retries, "mode": "standard"}, connect_timeout=5, read_timeout=read_seconds)
