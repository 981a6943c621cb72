"""The tags on everything that can be tagged."""

from __future__ import annotations

from aws_cdk import Tags
from constructs import IConstruct

from tapehouse.cloud.settings import Settings


def tags_of(settings: Settings, blueprint: str) -> dict[str, str]:
    """Tag by name; values are the settings' own."""
    return {
        "Application": settings.application,
        "Blueprint": blueprint,
        "CostCenter": settings.cost_centre,
        "DataClassification": settings.data_classification.value,
        "Environment": settings.label,
        "Owner": settings.owner,
    }


def apply_tags(scope: IConstruct, settings: Settings, blueprint: str) -> None:
    """Put them on `scope` and all within."""
    for name, value in tags_of(settings, blueprint).items():
        Tags.of(scope).add(name, value)
