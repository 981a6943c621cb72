"""The tables of a deployment in Glue's catalogue, and the workgroup that queries them.

All is declared: the database, one landing table for each dataset of text, and every Iceberg table that a run will
write, so that permissions, queries and consumers have something to refer to before the first run. The catalogue's own
encryption settings are left alone: there is one catalogue for an account and region, and it is not ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aws_cdk import Aws, CustomResource
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from tapehouse.cloud.constructs.deployment import Deployment
from tapehouse.cloud.constructs.first_metadata import first_metadata, specs_of
from tapehouse.cloud.constructs.landing_table import landing_table
from tapehouse.cloud.datasets import Dataset
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.handlers.iceberg_table import LOCATION
from tapehouse.lake.s3.tables import table_name
from tapehouse.lake.spec import TableSpec

LAKE = "lake"
"""Prefix of the lake in the curated bucket."""
WAREHOUSE = f"{LAKE}/warehouse"
"""Under it, <namespace>/<table>/ has a table's files."""
LANDING = "landing"
"""Prefix in the raw bucket; under it <dataset>/."""
# Athena takes no lower limit than 10 MB. One query of a day's trades reads some tens of gigabytes.
_GIGABYTE = 1_000_000_000
QUERY_BYTES_MAX = {True: 1_000 * _GIGABYTE, False: 10 * _GIGABYTE}
_QUERIES = {
    "rows_per_day": """\
SELECT date(_event_time) AS event_day, count(*) AS row_count FROM {dataset}_curated
GROUP BY 1 ORDER BY 1 DESC LIMIT 60""",
    "quarantine_reasons": """\
SELECT code, severity, count(*) AS row_count FROM {dataset}_quarantine
CROSS JOIN UNNEST(reasons) AS reason (code, severity, fields, observed, bound)
WHERE _knowledge_time > current_timestamp - INTERVAL '7' DAY GROUP BY 1, 2 ORDER BY 3 DESC""",
    "freshness": """\
SELECT max(_event_time) AS newest_event, max(_knowledge_time) AS newest_commit,
  date_diff('second', max(_event_time), current_timestamp) AS seconds_old FROM {dataset}_curated
WHERE _event_time > current_timestamp - INTERVAL '14' DAY""",
}


@dataclass(frozen=True, slots=True)
class CatalogueProps:
    """`query_bytes_max`: what one query may read; by default 1 TB in production, 10 GB elsewhere."""

    naming: Naming
    lifecycle: Lifecycle
    datasets: Sequence[Dataset]
    raw: s3.Bucket
    curated: s3.Bucket
    results: s3.Bucket
    data_key: kms.IKey
    deployment: Deployment
    query_bytes_max: int | None = None


class Catalogue(Construct):
    """Database, tables, workgroup and queries to begin with."""

    database: glue.CfnDatabase
    """Of all tables of the deployment."""
    database_name: str
    """Letters, digits and underscores; no token."""
    landing: dict[str, glue.CfnTable]
    """By dataset; those without a table of their own have a format that Athena cannot read as text."""
    tables: dict[str, CustomResource]
    """Iceberg tables by their name in the database, such as us_equity_trades_curated."""
    workgroup: athena.CfnWorkGroup
    """Its settings override the client's."""
    queries: dict[str, athena.CfnNamedQuery]
    """Saved in the workgroup, by what they tell."""
    lake_uri: str
    """s3:// address of the lake, without a slash at its end."""

    def __init__(self, scope: Construct, construct_id: str, *, props: CatalogueProps) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        self.database_name = props.naming.identifier()
        self.lake_uri = f"s3://{props.curated.bucket_name}/{LAKE}"
        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self.database_name,
                description="Tables of the deployment",
                location_uri=f"s3://{props.curated.bucket_name}/{WAREHOUSE}/",
            ),
        )
        self.database.apply_removal_policy(props.lifecycle.removal)
        self.landing = dict(self._landing())
        props.deployment.admit_tables(props.curated, LAKE, self.database_name)
        self.tables = {table_name(spec.namespace, spec.name): self._iceberg(spec) for spec in specs_of(props.datasets)}
        self.workgroup = self._workgroup()
        self.queries = {purpose: self._query(purpose, text) for purpose, text in _queries(props.datasets)}

    def _landing(self) -> Iterator[tuple[str, glue.CfnTable]]:
        for dataset in self._props.datasets:
            location = f"s3://{self._props.raw.bucket_name}/{LANDING}/{dataset.name}/"
            described = landing_table(dataset, f"{dataset.name}_landing", location)
            if described is None:
                continue
            table = glue.CfnTable(
                self,
                f"Landing{_camel(dataset.name)}",
                catalog_id=Aws.ACCOUNT_ID,
                database_name=self.database_name,
                table_input=_lower_first(described),
            )
            table.add_resource_dependency(self.database)
            table.apply_removal_policy(self._props.lifecycle.removal)
            yield dataset.name, table

    def _iceberg(self, spec: TableSpec) -> CustomResource:
        location = f"s3://{self._props.curated.bucket_name}/{WAREHOUSE}/{spec.namespace}/{spec.name}"
        table = self._props.deployment.iceberg_table(
            self,
            f"Table{_camel(table_name(spec.namespace, spec.name))}",
            {
                "Database": self.database_name,
                "Table": table_name(spec.namespace, spec.name),
                "Location": location,
                # The function writes the location into it: the bucket's name is not known here.
                "Metadata": json.dumps(first_metadata(spec, LOCATION), sort_keys=True, separators=(",", ":")),
                "Description": spec.properties.get("comment", ""),
                "Destroy": "true" if self._props.lifecycle.destroyable else "false",
            },
        )
        table.node.default_child.add_resource_dependency(self.database)
        # Storage's buckets have a policy each, which is part of what lets the metadata be written.
        table.node.default_child.add_resource_dependency(self._props.curated.policy.node.default_child)
        return table

    def _workgroup(self) -> athena.CfnWorkGroup:
        props = self._props
        given = props.query_bytes_max
        group = athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=props.naming.identifier("queries"),
            description="Queries of the deployment's tables",
            state="ENABLED",
            # A workgroup that has a history is otherwise not deleted.
            recursive_delete_option=props.lifecycle.destroyable,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                requester_pays_enabled=False,
                bytes_scanned_cutoff_per_query=QUERY_BYTES_MAX[props.lifecycle.production] if given is None else given,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(selected_engine_version="AUTO"),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{props.results.bucket_name}/queries/",
                    expected_bucket_owner=Aws.ACCOUNT_ID,
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=props.data_key.key_arn
                    ),
                ),
            ),
        )
        group.apply_removal_policy(props.lifecycle.transient)
        return group

    def _query(self, purpose: str, text: str) -> athena.CfnNamedQuery:
        query = athena.CfnNamedQuery(
            self,
            f"Query{_camel(purpose)}",
            name=purpose,
            database=self.database_name,
            work_group=self.workgroup.name,
            query_string=text,
        )
        query.add_resource_dependency(self.workgroup)
        return query


def _queries(datasets: Sequence[Dataset]) -> Iterator[tuple[str, str]]:
    for dataset in datasets:
        for purpose, text in _QUERIES.items():
            yield f"{dataset.name}_{purpose}", text.format(dataset=dataset.name)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _lower_first(value: object) -> object:
    """CloudFormation's own names as the CDK spells them; keys of free mappings stay."""
    if isinstance(value, list):
        return [_lower_first(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name[0].lower() + name[1:]: one if name == "Parameters" else _lower_first(one) for name, one in value.items()
    }
