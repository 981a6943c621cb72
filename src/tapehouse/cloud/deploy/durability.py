"""Changes that can lose data: stores that go or are replaced, and protections that are lowered."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.deploy.findings import Finding, Risk
from tapehouse.cloud.deploy.replacements import replaces
from tapehouse.cloud.deploy.templates import Resource, number

# What they hold is gone with them.
STATEFUL = frozenset(
    {
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::ECR::Repository",
        "AWS::EFS::FileSystem",
        "AWS::EMR::Cluster",
        "AWS::Glue::Database",
        "AWS::Glue::Table",
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::SecretsManager::Secret",
        "Custom::IcebergTable",
    }
)
_KEEPS = ("Retain", "RetainExceptOnCreate", "Snapshot")
# Less of these keeps data for a shorter time.
_RETENTION = {
    "AWS::Logs::LogGroup": (("RetentionInDays",), "days"),
    "AWS::Kinesis::Stream": (("RetentionPeriodHours",), "hours"),
    "AWS::SQS::Queue": (("MessageRetentionPeriod",), "seconds"),
    "AWS::RDS::DBCluster": (("BackupRetentionPeriod",), "days"),
    "AWS::KMS::Key": (("PendingWindowInDays",), "days"),
}
# Whether a protection is on, and its value when it is.
_PROTECTIONS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "AWS::DynamoDB::Table": (
        (("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"), "point-in-time recovery"),
        (("DeletionProtectionEnabled",), "deletion protection"),
    ),
    "AWS::RDS::DBCluster": ((("DeletionProtection",), "deletion protection"),),
    "AWS::KMS::Key": ((("Enabled",), "the key"),),
}


def losses(resource: Resource) -> Iterator[Finding]:
    """Everything of one changed resource that can lose data."""
    if resource.action == "add":
        return
    yield from _gone(resource)
    if resource.action == "modify":
        yield from _lowered(resource)
        if resource.type == "AWS::S3::Bucket":
            yield from _bucket(resource)


def _gone(resource: Resource) -> Iterator[Finding]:
    kind = resource.type_before
    if kind not in STATEFUL:
        return
    policy = resource.before.get("DeletionPolicy", "Delete")
    if resource.action == "remove":
        if policy not in _KEEPS:
            yield _finding(resource, "", f"it is removed with all it holds (DeletionPolicy {policy})")
        return
    kept = resource.after.get("UpdateReplacePolicy", "Delete")
    fixed = [edit for edit in resource.edits if replaces(kind, edit.within) == "always"]
    if (fixed or resource.type != kind) and kept not in _KEEPS:
        path = fixed[0].text if fixed else "Type"
        yield _finding(
            resource, path, f"it is replaced, and the old one goes with all it holds (UpdateReplacePolicy {kept})"
        )
    for name in ("DeletionPolicy", "UpdateReplacePolicy"):
        was, will = resource.before.get(name, "Delete"), resource.after.get(name, "Delete")
        if was in _KEEPS and will not in _KEEPS:
            yield Finding(Risk.DATA_LOSS, resource.id, kind, "modify", name, f"{name} no longer keeps it", was, will)


def _lowered(resource: Resource) -> Iterator[Finding]:
    if resource.type in _RETENTION:
        path, unit = _RETENTION[resource.type]
        was, will = number(resource.old(*path)), number(resource.new(*path))
        # A log group without a number keeps its lines for ever.
        forever = resource.type == "AWS::Logs::LogGroup" and was is None
        if will is not None and (forever or (was is not None and will < was)):
            text = "for ever" if was is None else f"for {was:g} {unit}"
            yield _finding(resource, ".".join(path), f"kept {text}, now for {will:g} {unit}")
    for guard, what in _PROTECTIONS.get(resource.type, ()):
        # Keys are enabled where nothing is said.
        default = guard == ("Enabled",)
        if _on(resource.old(*guard), default) and not _on(resource.new(*guard), default):
            yield _finding(resource, ".".join(guard), f"{what} is turned off")


def _bucket(resource: Resource) -> Iterator[Finding]:
    status = ("VersioningConfiguration", "Status")
    if resource.old(*status) == "Enabled" and resource.new(*status) != "Enabled":
        yield _finding(resource, ".".join(status), "overwritten and deleted objects are no longer kept as versions")
    was = _expiries(resource.old("LifecycleConfiguration", "Rules"))
    will = _expiries(resource.new("LifecycleConfiguration", "Rules"))
    for place, days in sorted(will.items()):
        if place not in was or days < was[place]:
            prefix, what = place
            yield _finding(
                resource,
                "LifecycleConfiguration.Rules",
                f"{what} below {prefix or 'any prefix'!r} expire after {days:g} days"
                + (f", were kept for {was[place]:g}" if place in was else ", were kept"),
            )


def _expiries(rules: object) -> dict[tuple[str, str], float]:
    """Days after which objects go, by prefix and what goes."""
    found: dict[tuple[str, str], float] = {}
    for rule in rules if isinstance(rules, list) else []:
        if rule.get("Status") != "Enabled":
            continue
        old = (rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays")
        for what, given in (("objects", rule.get("ExpirationInDays")), ("old versions", old)):
            days = number(given)
            if days is not None:
                place = (str(rule.get("Prefix", "")), what)
                found[place] = min(days, found.get(place, days))
    return found


def _on(value: object, default: bool) -> bool:
    return default if value is None else str(value).lower() == "true"


def _finding(resource: Resource, path: str, why: str) -> Finding:
    parts = tuple(path.split(".")) if path else ()
    before, after = (resource.old(*parts), resource.new(*parts)) if parts else (None, None)
    return Finding(Risk.DATA_LOSS, resource.id, resource.type_before, resource.action, path, why, before, after)
