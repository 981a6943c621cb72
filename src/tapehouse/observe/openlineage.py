"""A run as OpenLineage events: START when it begins, then COMPLETE or FAIL with everything known by then.

The events are plain dictionaries. The client library's classes take half a second to import, more than the command
line may take to start and a good part of a small run; the tests build every event from those classes and compare, so
a facet that drifts from the library's version of the standard fails there.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tapehouse import __version__
from tapehouse.observe.lineage_run import LineageColumn, LineageInput, LineageOutput, LineageRun, RuleCount

Document = dict[str, Any]
EventType = Literal["START", "COMPLETE", "FAIL"]

PRODUCER = f"urn:tapehouse:{__version__}"
SPEC = "https://openlineage.io/spec"
RUN_EVENT_SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACET_VERSIONS = {
    "ColumnLineageDatasetFacet": "1-2-0",
    "DataQualityAssertionsDatasetFacet": "1-1-0",
    "DataQualityMetricsInputDatasetFacet": "1-0-3",
    "DatasetVersionDatasetFacet": "1-0-1",
    "DocumentationJobFacet": "1-1-0",
    "ErrorMessageRunFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "OwnershipJobFacet": "1-0-1",
    "ProcessingEngineRunFacet": "1-1-1",
    "SchemaDatasetFacet": "1-2-0",
    "StorageDatasetFacet": "1-0-1",
}
# Our own run facet: what the standard has no place for.
CONSERVATION_SCHEMA = "urn:tapehouse:schema:conservation-run-facet:1"

# Column lineage repeats every column for every input: 20 columns of 10,000 batches would be 200,000 entries in one
# event. Beyond this many inputs the first ones stand for all, and the conservation facet says how many are listed.
COLUMN_LINEAGE_INPUTS_MAX = 50


def run_event(kind: EventType, run: LineageRun) -> Document:
    """The event of `kind` for `run`. FAIL needs `run.failure`; COMPLETE and FAIL need `run.ended` (ValueError)."""
    if kind == "FAIL" and run.failure is None:
        raise ValueError("a FAIL event needs the run's failure")
    if kind == "COMPLETE" and run.failure is not None:
        raise ValueError("a run with a failure is told by a FAIL event")
    moment = run.started if kind == "START" else run.ended
    if moment is None:
        raise ValueError(f"a {kind} event needs the time the run ended")
    return {
        "eventType": kind,
        "eventTime": _iso(moment),
        "run": {"runId": openlineage_run_id(run.run_id), "facets": _run_facets(run)},
        "job": {"namespace": lake_namespace(run.lake), "name": run.contract_name, "facets": _job_facets(run)},
        "inputs": [_input(run, batch) for batch in run.inputs],
        "outputs": [_output(run, table) for table in run.outputs],
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT_SCHEMA,
    }


def openlineage_run_id(run_id: str) -> str:
    """The UUID the standard demands: `run_id` itself if it is one, else one derived from it, always the same."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:tapehouse:run:{run_id}"))


def dataset_name(origin: str) -> tuple[str, str]:
    """(namespace, name) of a file by the standard's naming rules: `s3://bucket` and key, or `file` and the full path.

    User, password and query of a URI are left out: they may be secrets, and are no part of a name.
    """
    parts = urlsplit(origin)
    if "://" not in origin:
        return "file", str(Path(origin).absolute())
    if parts.scheme == "file":
        return "file", parts.path
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}", parts.path.lstrip("/")


def lake_namespace(lake: str) -> str:
    """Namespace of the lake's tables and of the jobs that write them: its URI, or its full path as a `file:` URI."""
    return lake.rstrip("/") if "://" in lake else Path(lake).absolute().as_uri()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _facet(name: str, /, **content: Any) -> Document:
    url = f"{SPEC}/facets/{FACET_VERSIONS[name]}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": url, **{k: v for k, v in content.items() if v is not None}}


def _run_facets(run: LineageRun) -> Document:
    facets = {
        "processing_engine": _facet(
            "ProcessingEngineRunFacet",
            name=run.engine,
            version=run.engine_version or __version__,
            openlineageAdapterVersion=__version__,
        ),
        "tapehouse_conservation": {
            "_producer": PRODUCER,
            "_schemaURL": CONSERVATION_SCHEMA,
            "runId": run.run_id,
            "contract": {"version": run.contract_version, "digest": f"sha256:{run.contract_digest}"},
            "rows": dict(run.dispositions),
            "proofClosed": run.proof_closed,
            "rules": {rule.code: rule.rows for rule in run.rules},
            "columnLineageInputs": {
                "listed": min(len(run.inputs), COLUMN_LINEAGE_INPUTS_MAX),
                "of": len(run.inputs),
            },
        },
    }
    if run.failure is not None:
        facets["errorMessage"] = _facet(
            "ErrorMessageRunFacet",
            message=f"{run.failure.kind}: {run.failure.message}",
            programmingLanguage="python",
            stackTrace=run.failure.traceback or None,
        )
    return facets


def _job_facets(run: LineageRun) -> Document:
    facets = {"jobType": _facet("JobTypeJobFacet", processingType="BATCH", integration="TAPEHOUSE", jobType="JOB")}
    if run.description:
        facets["documentation"] = _facet(
            "DocumentationJobFacet", description=run.description, contentType="text/markdown"
        )
    if run.owner:
        facets["ownership"] = _facet("OwnershipJobFacet", owners=[{"name": run.owner, "type": "OWNER"}])
    return facets


def _input(run: LineageRun, batch: LineageInput) -> Document:
    namespace, name = dataset_name(batch.origin)
    # Totals of a run with one batch are that batch's; with more batches they belong to none of them.
    rules = batch.rules or (run.rules if len(run.inputs) == 1 else ())
    facets: Document = {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=f"sha256:{batch.digest}")}
    if run.columns:
        fields = [{"name": column.source} for column in run.columns]
        facets["schema"] = _facet("SchemaDatasetFacet", fields=fields)
    input_facets = {
        "inputStatistics": _facet(
            "InputStatisticsInputDatasetFacet", rowCount=batch.rows, size=batch.size, fileCount=1
        ),
        "dataQualityMetrics": _facet(
            "DataQualityMetricsInputDatasetFacet",
            rowCount=batch.rows,
            bytes=batch.size,
            fileCount=1,
            columnMetrics={column: {"nullCount": count} for column, count in batch.nulls.items()},
        ),
    }
    if rules:
        assertions = [_assertion(rule) for rule in rules]
        input_facets["dataQualityAssertions"] = _facet("DataQualityAssertionsDatasetFacet", assertions=assertions)
    return {"namespace": namespace, "name": name, "facets": facets, "inputFacets": input_facets}


def _assertion(rule: RuleCount) -> Document:
    content = {
        "assertion": rule.code,
        "name": rule.code,
        "success": rule.rows == 0,
        "severity": "error" if rule.severity == "reject" else "warn",
        "expected": "0",
        "actual": str(rule.rows),
        "column": rule.column or None,
        "description": rule.description or None,
    }
    return {key: value for key, value in content.items() if value is not None}


def _output(run: LineageRun, table: LineageOutput) -> Document:
    facets = {"storage": _facet("StorageDatasetFacet", storageLayer="iceberg", fileFormat="parquet")}
    if table.snapshot_id is not None:
        facets["version"] = _facet("DatasetVersionDatasetFacet", datasetVersion=str(table.snapshot_id))
    columns = table.columns or (tuple((c.name, c.type) for c in run.columns) if table.curated else ())
    if columns:
        fields = [{"name": name, "type": type_, "ordinal_position": i} for i, (name, type_) in enumerate(columns, 1)]
        facets["schema"] = _facet("SchemaDatasetFacet", fields=fields)
    if table.curated and run.columns and run.inputs:
        sources = [dataset_name(batch.origin) for batch in run.inputs[:COLUMN_LINEAGE_INPUTS_MAX]]
        lineage = {column.name: _column_lineage(column, sources) for column in run.columns}
        facets["columnLineage"] = _facet("ColumnLineageDatasetFacet", fields=lineage)
    statistics = _facet(
        "OutputStatisticsOutputDatasetFacet", rowCount=table.rows, size=table.size, fileCount=table.files
    )
    return {
        "namespace": lake_namespace(run.lake),
        "name": table.table,
        "facets": facets,
        "outputFacets": {"outputStatistics": statistics},
    }


def _column_lineage(column: LineageColumn, sources: list[tuple[str, str]]) -> Document:
    step = {
        "type": "DIRECT",
        "subtype": "TRANSFORMATION" if column.derived else "IDENTITY",
        "masking": False,
        **({"description": column.description} if column.description else {}),
    }
    return {
        "inputFields": [
            {"namespace": namespace, "name": name, "field": column.source, "transformations": [step]}
            for namespace, name in sources
        ]
    }
