"""All constructs of this folder in one stack, as a blueprint has them, and what its template says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack

from tapehouse.cloud.blueprint import synthesizer
from tapehouse.cloud.constructs.alerts import Alerts, AlertsProps
from tapehouse.cloud.constructs.arns import bucket_arn
from tapehouse.cloud.constructs.catalogue import Catalogue, CatalogueProps
from tapehouse.cloud.constructs.consumers import Consumers, ConsumersProps
from tapehouse.cloud.constructs.denies import Denies, DeniesProps
from tapehouse.cloud.constructs.deployment import Deployment, DeploymentProps
from tapehouse.cloud.constructs.encryption import Encryption, EncryptionProps
from tapehouse.cloud.constructs.lineage_table import LineageTable, LineageTableProps
from tapehouse.cloud.constructs.network import Network, NetworkProps
from tapehouse.cloud.constructs.storage import DATA_PURPOSES, Storage, StorageProps
from tapehouse.cloud.datasets import datasets_of
from tapehouse.cloud.endpoint_services import MARKET_STREAM
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.policy import Account, Place
from tapehouse.cloud.policy.resolve import Resolver
from tapehouse.cloud.settings import Settings

CONTRACTS = Path(__file__).parents[3] / "examples" / "contracts"
PLACE = Place(account="111122223333", region="eu-central-1", stack="main")
CONSUMER_ACCOUNT = "444455556666"
CONSUMER = {
    "name": "risk",
    "account": CONSUMER_ACCOUNT,
    "external_id": "agreed-in-writing-2026",
    "prefixes": ["lake/warehouse/us_equity_trades/"],
}


def settings_of(environment: str, **given: Any) -> Settings:
    """Valid settings of that environment, with what is given in place of the usual."""
    values = {
        "environment": environment,
        "suffix": "x1a2",
        "region": PLACE.region,
        "owner": "tape-desk",
        "cost_centre": "4711",
        "contracts": [CONTRACTS / "us-equity-trades.yaml", CONTRACTS / "order-book.yaml"],
        "alert_emails": ["tape@example.com"],
        "consumers": [CONSUMER],
    }
    return Settings.of({**values, **given})


class Template:
    """A template with its properties resolved for `PLACE`."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self._resolver = Resolver(body, PLACE)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Resources of that type by logical id: as written, but for `Properties`, which are resolved."""
        return {
            name: {**one, "Properties": self._resolver.properties(name)}
            for name, one in self.body["Resources"].items()
            if one["Type"] == kind
        }

    def one(self, kind: str, **having: Any) -> dict[str, Any]:
        """Properties of the only resource of that type with those properties."""
        found = [one["Properties"] for one in self.of(kind).values()]
        found = [one for one in found if all(one.get(name) == value for name, value in having.items())]
        assert len(found) == 1, f"{len(found)} of {kind} with {having}"
        return found[0]

    def ref(self, logical_id: str) -> str:
        """What Ref gives."""
        return str(self._resolver.value({"Ref": logical_id}))

    def arn(self, kind: str, **having: Any) -> str:
        """ARN of the only resource of that type with those properties."""
        wanted = self.one(kind, **having)
        (name,) = [name for name, one in self.of(kind).items() if one["Properties"] == wanted]
        return str(self._resolver.value({"Fn::GetAtt": [name, "Arn"]}))

    @property
    def data_key(self) -> str:
        """ARN of the key of data."""
        return self.arn("AWS::KMS::Key", Description="Data of the deployment")

    @property
    def logs_key(self) -> str:
        """ARN of the key of log groups."""
        return self.arn("AWS::KMS::Key", Description="Log groups")

    @cached_property
    def account(self) -> Account:
        """Who may do what."""
        return Account.of({"main": self.body}, PLACE)

    @property
    def text(self) -> str:
        return json.dumps(self.body)


@dataclass(frozen=True)
class Whole:
    """The constructs and their template."""

    settings: Settings
    naming: Naming
    stack: Stack
    encryption: Encryption
    network: Network
    denies: Denies
    deployment: Deployment
    storage: Storage
    catalogue: Catalogue
    lineage: LineageTable
    alerts: Alerts
    consumers: Consumers
    release: str
    template: Template


def empty_stack(naming: Naming) -> Stack:
    """A stack in an app of its own."""
    return Stack(App(analytics_reporting=False, tree_metadata=False), "Main", synthesizer=synthesizer(naming))


def template_of(stack: Stack) -> Template:
    """Synthesized, which is the last thing that can be done with a stack."""
    assembly = stack.node.root.synth()
    return Template(json.loads(Path(assembly.directory, f"{stack.artifact_id}.template.json").read_text("utf-8")))


def whole(settings: Settings, folder: Path) -> Whole:
    """Everything; `folder` takes the stand-in for the packages."""
    naming, lifecycle = Naming.of(settings, "lake"), Lifecycle.of(settings)
    code = folder / "code"
    code.mkdir(exist_ok=True)
    (code / "main.py").write_text("ANSWER = 42\n")
    stack = empty_stack(naming)
    encryption = Encryption(stack, "Encryption", props=EncryptionProps(naming, lifecycle, settings.consumers))
    data, logs = encryption.data, encryption.logs
    network = Network(stack, "Network", props=NetworkProps(settings.network, naming, lifecycle, logs, MARKET_STREAM))
    uploads = [bucket_arn(naming, purpose, "*") for purpose in DATA_PURPOSES]
    denies = Denies(stack, "Denies", props=DeniesProps(naming, [data.key_arn, logs.key_arn], uploads))
    deployment = Deployment(
        stack, "Deployment", props=DeploymentProps(naming, lifecycle, code, "python3.14", data, logs, denies)
    )
    storage = Storage(stack, "Storage", props=StorageProps(naming, lifecycle, data, deployment, 3650))
    catalogue = Catalogue(
        stack,
        "Catalogue",
        props=CatalogueProps(
            naming,
            lifecycle,
            datasets_of(settings),
            storage.raw,
            storage.curated,
            storage.results,
            data,
            deployment,
        ),
    )
    lineage = LineageTable(stack, "Lineage", props=LineageTableProps(naming, lifecycle, data))
    alerts = Alerts(stack, "Alerts", props=AlertsProps(naming, lifecycle, data, settings.alert_emails))
    consumers = Consumers(
        stack, "Consumers", props=ConsumersProps(naming, settings.consumers, storage.curated, data, denies)
    )
    network.security_group(stack, "Callers", "callers", "Callers of AWS services")
    release = deployment.release("Release", code, storage.scripts)
    template = template_of(stack)
    return Whole(
        settings, naming, stack, encryption, network, denies, deployment, storage, catalogue, lineage, alerts,
        consumers, release, template,
    )  # fmt: skip


def statements(policy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of a policy document."""
    found = policy["Statement"]
    yield from found if isinstance(found, list) else [found]


def listed(value: Any) -> list[Any]:
    """What may stand in a policy alone or in a list, as a list."""
    return value if isinstance(value, list) else [value]
