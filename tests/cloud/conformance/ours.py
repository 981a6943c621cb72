"""Our blueprints, synthesized for test and for production at fifty terabytes a day."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.conformance.stacks import Deployment, Facts, Stacks
from tapehouse.cloud.datasets import datasets_of, names_of
from tapehouse.cloud.settings import Settings
from tapehouse.cloud.synth import blueprint_of, synthesize
from tapehouse.sizing.model import parse_volume

CONTRACTS = Path(__file__).parents[3] / "examples" / "contracts"
CONSUMER = {
    "name": "research",
    "account": "444455556666",
    "external_id": "agreed-with-research-2026",
    "prefixes": ["lake/warehouse/consolidated_trades/"],
}
COMMON: dict[str, Any] = {
    "suffix": "x1a2",
    "region": "eu-central-1",
    "owner": "tape-desk",
    "cost_centre": "4711",
    # Two that can be streamed, and one that arrives in files alone.
    "contracts": [CONTRACTS / f"{one}.yaml" for one in ("consolidated-trades", "synthetic-quotes", "order-book")],
    "alert_emails": ["tape@example.com"],
    "consumers": [CONSUMER],
    "as_of": date(2026, 11, 27),
}
TEST = {"environment": "test", "stream": {"volume": "1GB/day", "peak_factor": 3}}
PROD = {
    "environment": "prod",
    "stream": {"volumes": {"consolidated_trades": "40TB/day", "synthetic_quotes": "10TB/day"}, "peak_factor": 2},
    "quotas": {"kinesis_shards": 20_000, "lambda_concurrency": 5_000, "glue_workers": 10_000},
}


def settings_of(environment: str, **given: Any) -> Settings:
    """Settings of that environment, with what is given in place of the usual."""
    return Settings.of({**COMMON, **(PROD if environment == "prod" else TEST), **given})


def packages_in(folder: Path) -> Packages:
    """Packages by their shape: what templates say of them is a hash, and where a script lies."""
    files = {
        "layer/python/dependency.py": "",
        "code/tapehouse/__init__.py": "",
        "release/glue_job.py": "",
        "release/contracts/any.yaml": "",
        "release/wheels/tapehouse-0.1.0-py3-none-any.whl": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Packages(folder / "layer", folder / "code", folder / "release")


def facts_of(settings: Settings, blueprint: str) -> Facts:
    """What the checks must know of them."""
    chosen, datasets = blueprint_of(blueprint), datasets_of(settings)
    streamed = [one.name for one in datasets if one.streamable or not chosen.streamed]
    volumes = [settings.stream.volumes.get(name, settings.stream.volume) for name in streamed]
    return Facts(
        application=settings.application,
        service=chosen.service,
        environment=settings.environment.value,
        suffix=settings.suffix,
        datasets=names_of(datasets),
        volume=sum(map(parse_volume, volumes)),
        peak_factor=settings.stream.peak_factor,
        as_of=settings.as_of,
    )


def stacks_of(settings: Settings, blueprint: str, folder: Path) -> Stacks:
    """The synthesized stacks."""
    packages = packages_in(folder / "packages")
    assembly = synthesize(settings, blueprint, folder / "assembly", packages)
    return Stacks.read(assembly, facts_of(settings, blueprint))


def deployment_of(blueprint: str, folder: Path) -> Deployment:
    """Both environments."""
    test, prod = (stacks_of(settings_of(kind), blueprint, folder / blueprint / kind) for kind in ("test", "prod"))
    return Deployment(blueprint, test, prod)
