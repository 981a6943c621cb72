"""Our events against the client library's own classes: same fields, same facet versions, same validation."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from openlineage.client.generated import (
    base,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    documentation_job,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    ownership_job,
    processing_engine_run,
    schema_dataset,
    storage_dataset,
)
from openlineage.client.serde import Serde

from tapehouse.observe import openlineage
from tapehouse.observe.lineage_run import (
    LineageColumn,
    LineageFailure,
    LineageInput,
    LineageOutput,
    LineageRun,
    RuleCount,
)
from tapehouse.observe.openlineage import dataset_name, lake_namespace, openlineage_run_id, run_event

RUN = LineageRun(
    run_id="20261120T143000-7f3a",
    contract_name="consolidated-trades",
    contract_version="1.0.0",
    contract_digest="c" * 64,
    lake="/data/lake",
    started=datetime(2026, 11, 20, 14, 30, tzinfo=UTC),
    ended=datetime(2026, 11, 20, 15, 31, 2, 5000, tzinfo=timezone(timedelta(hours=1))),
    owner="market-data",
    description="All trades of all venues.",
    inputs=(
        LineageInput("a" * 64, "s3://landing/trades/1.csv", 100, 9000, nulls={"conditions": 4}),
        LineageInput("b" * 64, "/landing/2.csv", 50, 4000, rules=(RuleCount("late", 3, "warn"),)),
    ),
    outputs=(
        LineageOutput("consolidated_trades.curated", 77, 140, size=5000, files=3, curated=True),
        LineageOutput("consolidated_trades.quarantine", None, 0, columns=(("codes", "list<string>"),)),
    ),
    columns=(
        LineageColumn("ts_event", "long", "ts_event", description="iso8601 to nanoseconds"),
        LineageColumn("symbol", "string", "sym", derived=False),
    ),
    dispositions={"rows_in": 150, "curated": 140, "quarantined": 7, "duplicates": 3, "filtered": 0},
    rules=(RuleCount("late", 3, "warn"), RuleCount("price_invalid", 7, column="price", description="a decimal")),
    proof_closed=True,
)
FAILED = replace(
    RUN, failure=LineageFailure("disk is full", "LakeError", "Traceback ..."), outputs=(), proof_closed=None
)

FACETS = {
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "documentation": documentation_job.DocumentationJobFacet,
    "ownership": ownership_job.OwnershipJobFacet,
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "schema": schema_dataset.SchemaDatasetFacet,
    "storage": storage_dataset.StorageDatasetFacet,
    "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet,
    "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet,
    "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}


def _nested(name, content):
    """The content's dictionaries as the classes the facet is made of."""
    if name == "schema":
        content["fields"] = [schema_dataset.SchemaDatasetFacetFields(**field) for field in content["fields"]]
    elif name == "ownership":
        content["owners"] = [ownership_job.Owner(**owner) for owner in content["owners"]]
    elif name == "dataQualityAssertions":
        items = content["assertions"]
        content["assertions"] = [data_quality_assertions_dataset.Assertion(**item) for item in items]
    elif name == "dataQualityMetrics":
        metrics = data_quality_metrics_input_dataset.ColumnMetrics
        content["columnMetrics"] = {key: metrics(**value) for key, value in content["columnMetrics"].items()}
    elif name == "columnLineage":
        content["fields"] = {key: _lineage_field(value) for key, value in content["fields"].items()}
    return content


def _lineage_field(value):
    module = column_lineage_dataset
    inputs = []
    for given in value["inputFields"]:
        steps = [module.Transformation(**step) for step in given["transformations"]]
        inputs.append(module.InputField(**{**given, "transformations": steps}))
    return module.Fields(inputFields=inputs)


def _facets(documents):
    built = {}
    for name, document in documents.items():
        if name == "tapehouse_conservation":
            continue
        content = dict(document)
        producer, schema = content.pop("_producer"), content.pop("_schemaURL")
        cls = FACETS[name]
        built[name] = cls(**_nested(name, json.loads(json.dumps(content))), producer=producer)
        assert schema == cls._get_schema(), f"facet {name} has another version in the client library"
    return built


def _rebuilt(event):
    """`event` made again from the client's classes, which validate it, and serialised by the client."""
    built = base.RunEvent(
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=base.Run(event["run"]["runId"], _facets(event["run"]["facets"])),
        job=base.Job(event["job"]["namespace"], event["job"]["name"], _facets(event["job"]["facets"])),
        eventType=base.EventType(event["eventType"]),
        inputs=[
            base.InputDataset(i["namespace"], i["name"], _facets(i["inputFacets"]), facets=_facets(i["facets"]))
            for i in event["inputs"]
        ],
        outputs=[
            base.OutputDataset(o["namespace"], o["name"], _facets(o["outputFacets"]), facets=_facets(o["facets"]))
            for o in event["outputs"]
        ],
    )
    return json.loads(Serde.to_json(built))


@pytest.mark.parametrize(("kind", "run"), [("START", RUN), ("COMPLETE", RUN), ("FAIL", FAILED)])
def test_event_equals_what_the_client_library_writes(kind, run):
    ours = json.loads(json.dumps(run_event(kind, run)))
    ours["run"]["facets"].pop("tapehouse_conservation")
    assert _without_empty(ours) == _without_empty(_rebuilt(run_event(kind, run)))


def _without_empty(value):
    if isinstance(value, dict):
        return {k: _without_empty(v) for k, v in value.items() if v not in ({}, [], None)}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def test_every_facet_version_is_used_by_a_tested_facet():
    assert set(openlineage.FACET_VERSIONS) == {cls.__name__ for cls in FACETS.values()}


def test_complete_says_what_became_of_the_rows():
    event = run_event("COMPLETE", RUN)
    assert event["eventTime"] == "2026-11-20T14:31:02.005000Z"
    conservation = event["run"]["facets"]["tapehouse_conservation"]
    assert conservation["rows"] == dict(RUN.dispositions)
    assert conservation["proofClosed"] is True
    assert conservation["rules"] == {"late": 3, "price_invalid": 7}
    first, second = event["inputs"]
    assert (first["namespace"], first["name"]) == ("s3://landing", "trades/1.csv")
    assert first["facets"]["version"]["datasetVersion"] == "sha256:" + "a" * 64
    assert "dataQualityAssertions" not in first["inputFacets"], "totals of two batches are not one batch's"
    assert second["inputFacets"]["dataQualityAssertions"]["assertions"] == [
        {"assertion": "late", "name": "late", "success": False, "severity": "warn", "expected": "0", "actual": "3"}
    ]
    curated, quarantine = event["outputs"]
    assert curated["facets"]["version"]["datasetVersion"] == "77"
    assert "version" not in quarantine["facets"]
    fields = curated["facets"]["columnLineage"]["fields"]
    assert [(f["name"], f["field"]) for f in fields["symbol"]["inputFields"]] == [
        ("trades/1.csv", "sym"),
        ("/landing/2.csv", "sym"),
    ]
    assert fields["symbol"]["inputFields"][0]["transformations"][0]["subtype"] == "IDENTITY"
    assert fields["ts_event"]["inputFields"][0]["transformations"][0]["subtype"] == "TRANSFORMATION"


def test_a_single_batch_takes_the_totals_of_the_run():
    [batch] = run_event("COMPLETE", replace(RUN, inputs=RUN.inputs[:1]))["inputs"]
    assert [a["assertion"] for a in batch["inputFacets"]["dataQualityAssertions"]["assertions"]] == [
        "late",
        "price_invalid",
    ]


def test_fail_carries_the_error():
    message = run_event("FAIL", FAILED)["run"]["facets"]["errorMessage"]
    assert (message["message"], message["stackTrace"]) == ("LakeError: disk is full", "Traceback ...")


def test_column_lineage_is_bounded_and_says_so():
    many = replace(RUN, inputs=tuple(replace(RUN.inputs[0], origin=f"/in/{n}.csv") for n in range(120)))
    event = run_event("COMPLETE", many)
    assert len(event["inputs"]) == 120
    fields = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert len(fields["symbol"]["inputFields"]) == openlineage.COLUMN_LINEAGE_INPUTS_MAX
    listed = event["run"]["facets"]["tapehouse_conservation"]["columnLineageInputs"]
    assert listed == {"listed": openlineage.COLUMN_LINEAGE_INPUTS_MAX, "of": 120}


@pytest.mark.parametrize(
    ("kind", "run"),
    [
        ("FAIL", RUN),
        ("COMPLETE", FAILED),
        ("COMPLETE", replace(RUN, ended=None)),
        ("FAIL", replace(FAILED, ended=None)),
    ],
)
def test_contradictory_events_are_refused(kind, run):
    with pytest.raises(ValueError, match="event"):
        run_event(kind, run)


def test_times_without_zone_are_refused():
    with pytest.raises(ValueError, match="started must carry a time zone"):
        replace(RUN, started=datetime(2026, 1, 1))


def test_run_id_is_a_uuid_and_always_the_same():
    derived = openlineage_run_id("20261120T143000-7f3a")
    assert uuid.UUID(derived).version == 5
    assert derived == openlineage_run_id("20261120T143000-7f3a") != openlineage_run_id("other")
    given = str(uuid.uuid4())
    assert openlineage_run_id(given) == given


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("s3://bucket/a/b.csv", ("s3://bucket", "a/b.csv")),
        ("file:///a/b.csv", ("file", "/a/b.csv")),
        ("/a/b.csv", ("file", "/a/b.csv")),
        ("https://user:secret@host:8080/x.csv?sig=secret", ("https://host:8080", "x.csv")),
    ],
)
def test_names_of_inputs(origin, name):
    assert dataset_name(origin) == name


def test_relative_origins_become_full_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dataset_name("in/a.csv") == ("file", str(tmp_path / "in/a.csv"))
    assert lake_namespace("lake") == (tmp_path / "lake").as_uri()
    assert lake_namespace("s3://bucket/lake/") == "s3://bucket/lake"
