"""A file lands: event, queue, validator, job, tables, lineage, metrics and alerts, as deployed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tapehouse import api

from .operator import Deployed, wait

DATASET = "trades"


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of trades with every kind of fault, and more of one than its rule's budget allows to pass unsaid."""
    folder = tmp_path_factory.mktemp("tape")
    api.generate("trades", folder, rows=3_000, seed=5, files=1)
    return folder / "trades_00.csv"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, tape: Path, operator) -> api.RunResult:
    """The same file through the same contract on this machine."""
    return api.run(operator.folder / "trades.yaml", tape, lake=tmp_path_factory.mktemp("local") / "lake")


@pytest.fixture(scope="module")
def landed(lake: Deployed, tape: Path) -> Deployed:
    """The deployment, after the file has gone all the way."""
    lake.listen()
    lake.land(tape, f"{DATASET}/2024/trades.csv")
    lake.wait_for_status("published", sources=1)
    lake.wait_for_jobs(1)
    return lake


@pytest.mark.proves("L20", "C21", "C42", "B35", blueprint="serverless-lake")
def test_what_the_run_publishes_equals_the_same_run_on_this_machine(landed: Deployed, local: api.RunResult):
    assert [run["JobRunState"] for run in landed.job_runs()] == ["SUCCEEDED"]
    counts = local.proof.counts
    curated = landed.query(f"select count(*), sum(size) from {DATASET}_curated")
    expected = api.query(local.lake, f"select count(*), sum(size) from {DATASET}.curated")
    assert curated == [[str(value) for value in row.values()] for row in expected.to_dicts()]
    assert landed.query(f"select count(*) from {DATASET}_quarantine") == [[str(counts["quarantined"])]]
    assert landed.query(f"select count(*) from {DATASET}_duplicates") == [[str(counts["duplicates"])]]


def test_quarantined_rows_carry_their_reasons(landed: Deployed, local: api.RunResult):
    found = landed.query(
        f"select reason.code, count(*) from (select unnest(reasons) as reason from {DATASET}_quarantine) group by 1"
    )
    assert {code: int(count) for code, count in found if code in local.rules} == dict(local.rules)


@pytest.mark.proves("C26", "C27", blueprint="serverless-lake")
def test_the_lineage_item_tells_where_rows_came_from_and_went_and_when_it_goes(landed: Deployed, local: api.RunResult):
    (item,) = landed.lineage()
    assert item["source"] == f"s3://{landed.outputs['RawBucket']}/landing/{DATASET}/2024/trades.csv"
    assert item["sha256"] == local.batches[0].digest
    assert item["rows"] == local.rows_in
    assert item["run_id"]
    assert any(output.endswith("curated") for output in item["outputs"])
    assert {code: int(count) for code, count in item["rules"].items()} == {**local.rules, **local.warnings}
    assert int(item["expires_at"]) > time.time() + 80 * 86_400
    ttl = landed.aws.client("dynamodb").describe_time_to_live(TableName=landed.outputs["LineageTable"])
    assert ttl["TimeToLiveDescription"]["AttributeName"] == "expires_at"


@pytest.mark.proves("C17", "C20", "B39", blueprint="serverless-lake")
def test_metrics_of_the_dataset_carry_the_environment(landed: Deployed, local: api.RunResult):
    counts = local.proof.counts
    assert landed.metric("RowsCurated", DATASET) == counts["curated"]
    assert landed.metric("RowsQuarantined", DATASET) == counts["quarantined"]
    assert landed.metric("RowsDuplicate", DATASET) == counts["duplicates"]
    assert landed.metric("RowsIn", DATASET) == local.rows_in
    assert landed.metric("FreshnessSeconds", DATASET, "Maximum") > 0
    assert 0 < landed.metric("LatencySeconds", DATASET, "Maximum") < 600


@pytest.mark.proves("C23", blueprint="serverless-lake")
def test_an_alert_names_dataset_rule_and_count(lake: Deployed, landed: Deployed, tmp_path: Path):
    api.generate("trades", tmp_path, rows=400, seed=9, files=1, faults="bad_price=0.4")
    lake.land(tmp_path / "trades_00.csv", f"{DATASET}/bad.csv")

    def look() -> list[dict] | None:
        found = [alert for alert in lake.alerts() if alert["facts"].get("dataset") == DATASET]
        return found or None

    alert = wait(look, 90)[0]
    assert alert["severity"] in ("warning", "critical")
    told = {one["code"]: (one["count"], one["rows"]) for one in alert["facts"]["rules"]}
    assert told["price_invalid"] == (160, 400)
    lake.wait_for_jobs(2)


@pytest.mark.proves("L20", blueprint="serverless-lake")
def test_the_same_content_again_starts_no_run(landed: Deployed, tape: Path):
    before, items = len(landed.wait_for_jobs(1)), len(landed.lineage())
    landed.land(tape, f"{DATASET}/again/trades-copy.csv")
    wait(lambda: True if landed.waiting("ObjectQueueUrl") == 0 else None, 60)
    time.sleep(2)
    assert len(landed.job_runs()) == before
    assert len(landed.lineage()) == items


@pytest.mark.proves("C24", "C25", blueprint="serverless-lake")
def test_a_file_nobody_can_read_goes_to_the_dead_letters_and_back(lake: Deployed, tmp_path: Path):
    lake.hasten("ObjectQueueUrl")
    poison = tmp_path / "poison.csv.gz"
    poison.write_bytes(b"\x1f\x8b this is no gzip")
    lake.land(poison, f"{DATASET}/poison.csv.gz")
    wait(lambda: lake.waiting("ObjectDlqUrl") or None, 90, lambda: lake.aws.logs()[-3000:])
    sent = lake.invoke("RedriveFunction", {"from": "all", "limit": 10})
    assert sent["objects_sent_back"] == 1
    wait(lambda: lake.waiting("ObjectDlqUrl") or None, 90)


def test_every_output_has_the_suffix_in_its_export_name(lake: Deployed):
    exports = lake.aws.client("cloudformation").list_exports()["Exports"]
    ours = [one["Name"] for one in exports if one["Name"].startswith("tapehouse-lake")]
    assert ours
    assert all(f"-test-{lake.suffix}" in name for name in ours)


def test_counts_are_complete(local: api.RunResult):
    assert local.proof.closed
    assert Counter(local.proof.counts)["curated"] > 2_000
