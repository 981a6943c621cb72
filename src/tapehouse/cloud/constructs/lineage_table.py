"""Where every landed file's story is written: what came, what was found, which run took it, where its rows are."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming

PARTITION_KEY = "dataset"
SORT_KEY = "sha256"
TTL_ATTRIBUTE = "expires_at"
"""Epoch seconds, a number: DynamoDB removes items within days after."""


@dataclass(frozen=True, slots=True)
class LineageTableProps:
    """`data_key` encrypts the table."""

    naming: Naming
    lifecycle: Lifecycle
    data_key: kms.IKey


class LineageTable(Construct):
    """One item for each content of each dataset; a file that comes twice finds its item there."""

    table: dynamodb.Table
    """Billed by request, restorable to any second of 35 days, protected where data is kept."""

    def __init__(self, scope: Construct, construct_id: str, *, props: LineageTableProps) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=props.naming.name("lineage"),
            partition_key=dynamodb.Attribute(name=PARTITION_KEY, type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name=SORT_KEY, type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute=TTL_ATTRIBUTE,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=props.data_key,
            deletion_protection=props.lifecycle.deletion_protection,
            removal_policy=props.lifecycle.removal,
        )
