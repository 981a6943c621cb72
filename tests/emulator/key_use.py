"""Keys behind what is encrypted: whoever reads or writes it has to be allowed the use of its key, as in AWS.

ministack asks for the permission on the bucket, queue, topic or stream alone. Here the caller's use of the key is asked
for (and recorded) as well, with the condition keys that the service would send. Of tables it is not: DynamoDB uses the
key by a grant of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_WRITE = ("kms:GenerateDataKey",)
_READ = ("kms:Decrypt",)
# What a call does with the key, by service.
_USES = {
    "s3:PutObject": _WRITE,
    "s3:GetObject": _READ,
    "sqs:SendMessage": _WRITE + _READ,
    "sqs:ReceiveMessage": _READ,
    "sns:Publish": _WRITE + _READ,
    "kinesis:PutRecord": _WRITE,
    "kinesis:PutRecords": _WRITE,
    "kinesis:GetRecords": _READ,
    "kinesis:SubscribeToShard": _READ,
}


@dataclass(frozen=True)
class Use:
    """One permission on a key that a call needs besides its own."""

    action: str
    key: str
    context: dict[str, Any]


def uses(action: str, resource: str, region: str, account: str) -> Iterator[Use]:
    """What a call needs of keys of one's own; nothing where the resource has none."""
    needed = _USES.get(action, ())
    key = _key_of(action.split(":")[0], resource) if needed else ""
    if not key:
        return
    service = action.split(":")[0]
    context: dict[str, Any] = {"kms:ViaService": f"{service}.{region}.amazonaws.com", "kms:CallerAccount": account}
    if service == "s3":
        context["kms:EncryptionContext:aws:s3:arn"] = resource.split("/")[0]
    for one in needed:
        yield Use(one, key, context)


def service_may(service: str, resource: str, source: str, account: str) -> bool:
    """Whether the key of a queue or topic lets a service of AWS send there, for its rule or topic `source`."""
    from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
    from ministack.core.responses import get_region
    from ministack.services import kms

    region = get_region()
    kind = resource.split(":")[2]
    key = _key_of(kind, resource)
    found = kms.key_policy_for_arn(key) if key else None
    if found is None:
        return True
    context = {
        "aws:sourcearn": source,
        "aws:sourceaccount": account,
        "kms:viaservice": f"{kind}.{region}.amazonaws.com",
        "kms:calleraccount": account,
    }
    asked = [
        EvalContext(
            principal_arn="*",
            principal_type="Service",
            principal_account="",
            action=action,
            resource_arn=key,
            region=region,
            service_context=context,
        )
        for action in _WRITE + _READ
    ]
    return all(evaluate_resource_policy(found[0], one, service=service).decision == "Allow" for one in asked)


def _key_of(service: str, resource: str) -> str:
    """ARN of the key that encrypts a resource; empty where it is AWS's, or where the resource is not there."""
    from ministack.services import kinesis, kms, s3, sns, sqs

    key: Any = ""
    if service == "s3":
        bucket = resource.rsplit(":", 1)[-1].split("/")[0]
        key = s3._bucket_default_sse_headers(bucket).get("x-amz-server-side-encryption-aws-kms-key-id", "")
    elif service == "sqs":
        key = ((sqs._queue_by_arn(resource) or {}).get("attributes") or {}).get("KmsMasterKeyId", "")
    elif service == "sns":
        key = ((sns._topics.get(resource) or {}).get("attributes") or {}).get("KmsMasterKeyId", "")
    elif service == "kinesis":
        name = resource.split("/consumer/")[0].rsplit("/", 1)[-1]
        key = (kinesis._streams.get(name) or {}).get("KeyId", "")
    found = kms._resolve_key(key) if key and not str(key).startswith("alias/aws/") else None
    return str(found["Arn"]) if found else ""
