"""Settings of deployments in tests, and their templates as CloudFormation gets them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tapehouse.cloud.settings import Settings

CONTRACTS = Path(__file__).parents[2] / "examples" / "contracts"
# One that is streamed and has a calendar, one of an exchange whose records are no lines, one without a calendar.
EXAMPLES = ("consolidated-trades", "us-equity-trades", "daily-bars")
BLUEPRINTS = {"market-stream": "stream", "serverless-lake": "lake"}
ENVIRONMENTS = ("test", "prod")
CONSUMER = {
    "name": "risk",
    "account": "444455556666",
    "external_id": "agreed-in-writing-2026",
    "prefixes": ["lake/warehouse/us_equity_trades/"],
}


def settings_of(environment: str, **given: Any) -> Settings:
    """Valid settings of that environment, with what is given in place of the usual."""
    values = {
        "environment": environment,
        "suffix": "a1b2",
        "region": "eu-central-1",
        "owner": "tape-desk",
        "cost_centre": "4711",
        "contracts": [CONTRACTS / f"{name}.yaml" for name in EXAMPLES],
        "alert_emails": ["tape@example.com"],
        "consumers": [CONSUMER],
        "as_of": "2026-11-27",
    }
    return Settings.of({**values, **given})


def templates(assembly: Path) -> Mapping[str, Any]:
    """The assembly's templates by file name."""
    return {path.name: json.loads(path.read_text("utf-8")) for path in sorted(assembly.glob("*.template.json"))}


def main(assembly: Path) -> Any:
    """The template that is not of monitoring."""
    return next(body for name, body in templates(assembly).items() if "-monitoring-" not in name)


def monitoring(assembly: Path) -> Any:
    """The template of monitoring."""
    return next(body for name, body in templates(assembly).items() if "-monitoring-" in name)


def of_type(template: Mapping[str, Any], kind: str) -> Iterator[Any]:
    """Resources of that type, as written."""
    return (one for one in template["Resources"].values() if one["Type"] == kind)
