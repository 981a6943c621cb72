"""What volumes take and cost, in numbers that can be followed by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapehouse.cloud.capacity import quotas
from tapehouse.cloud.capacity.cost import estimate, prices
from tapehouse.cloud.capacity.plan import OBJECT_CONCURRENCY, OTHER_CONCURRENCY, SHARD_BYTES_PER_SECOND, Plan, plan
from tapehouse.cloud.capacity.quotas import QuotaError
from tapehouse.cloud.settings import Settings
from tapehouse.errors import UsageError

from .constructs.whole import settings_of

LARGE = {"kinesis_shards": 20_000, "lambda_concurrency": 20_000, "glue_workers": 20_000}


def planned(volume: str, *, environment: str = "prod", streamed: bool = True, **given: object) -> Plan:
    stream = {"volume": volume, **given.pop("stream", {})}  # type: ignore[dict-item]
    return plan(settings_of(environment, stream=stream, **given), ["trades"], streamed=["trades"] if streamed else [])


def test_fifty_terabytes_a_day_at_three_times_the_mean() -> None:
    """578.7 MB/s on average, 1,736.1 MB/s at the peak; a shard takes 1 MB/s."""
    found = planned("50TB/day", quotas=LARGE)
    assert found.shards == math.ceil(50e12 / 86_400 * 3 / 1e6) == 1_737
    assert found.concurrency == 1_737
    assert found.shards * SHARD_BYTES_PER_SECOND >= found.dataset("trades").peak_bytes_per_second


@given(
    st.floats(1e3, 1e9),
    st.floats(1, 20),
    st.integers(1, 1_000_000),
    st.integers(1, 10),
)
def test_shards_carry_the_peak_in_bytes_and_records(mean: float, factor: float, record: int, parallel: int) -> None:
    stream = {"peak_factor": factor, "record_bytes": record, "parallelization": parallel}
    found = planned(f"{mean / 1e6:.6f}MB/s", quotas=dict.fromkeys(LARGE, 10**12), stream=stream)
    part = found.dataset("trades")
    assert found.shards >= 1
    assert found.shards * 1e6 >= part.peak_bytes_per_second * (1 - 1e-9)
    assert found.shards * 1e3 >= part.peak_bytes_per_second / record * (1 - 1e-9)
    assert found.concurrency == found.shards * parallel


def test_many_small_records_need_more_shards_than_their_bytes() -> None:
    """100 MB/s of 100 bytes are a million records a second, and a shard takes a thousand."""
    assert planned("100MB/s", quotas=LARGE, stream={"peak_factor": 1, "record_bytes": 100}).shards == 1_000


@pytest.mark.parametrize(("region", "quota"), [("us-east-1", 20_000), ("eu-central-1", 1_000)])
def test_a_quota_of_shards_is_told_by_its_name(region: str, quota: int) -> None:
    volume = f"{quota + 1}MB/s"
    given = {"lambda_concurrency": 10**9, "glue_workers": 10**9}
    with pytest.raises(QuotaError, match="Kinesis Data Streams: Shards per Region") as caught:
        planned(volume, quotas=given, region=region, stream={"peak_factor": 1})
    assert f"{quota:,}" in caught.value.message
    assert "quotas.kinesis_shards" in caught.value.fix
    assert caught.value.quota.value == quota
    assert caught.value.needed == quota + 1


def test_a_raised_quota_lets_it_through() -> None:
    assert planned("1001MB/s", quotas=LARGE, stream={"peak_factor": 1}).shards == 1_001


def test_reserved_concurrency_leaves_what_lambda_wants_left() -> None:
    room = 1_000 - 100 - OBJECT_CONCURRENCY - OTHER_CONCURRENCY
    given = {"kinesis_shards": 10**6, "glue_workers": 10**6}
    assert planned(f"{room}MB/s", quotas=given, stream={"peak_factor": 1}).concurrency == room
    with pytest.raises(QuotaError, match="Lambda: Concurrent executions"):
        planned(f"{room + 1}MB/s", quotas=given, stream={"peak_factor": 1})


def test_workers_together_stay_within_the_quota() -> None:
    with pytest.raises(QuotaError, match="Glue: Max task DPUs") as caught:
        planned("1GB/day", job={"workers_max": 299, "worker_type": "G.8X"})
    assert "3 concurrent runs of 299 G.8X workers" in caught.value.message


def test_on_demand_streams_have_their_own_quota() -> None:
    stream = {"mode": "on_demand", "peak_factor": 1}
    found = planned("150MB/s", quotas=LARGE, stream=stream)
    assert found.dataset("trades").shards is None
    assert found.shards == 0
    assert found.concurrency == 150
    with pytest.raises(QuotaError, match="On-demand write throughput") as caught:
        planned("201MB/s", quotas=LARGE, stream=stream)
    assert "then say so" not in caught.value.fix
    assert planned("201MB/s", quotas=LARGE, stream=stream, region="us-east-1").concurrency == 201


def lines_of(found: Plan) -> dict[str, float]:
    return {line.name: line.value for line in found.lines}


def test_runs_that_do_not_keep_up_are_told() -> None:
    """1,737 shards land an object every five seconds each: 20,844 a minute; three runs of 1,000 objects take 1,000."""
    found = planned("50TB/day", quotas=LARGE)
    assert lines_of(found)["objects a minute"] == pytest.approx(1_737 * 60 / 5)
    assert lines_of(found)["objects taken a minute"] == 1_000
    (warning,) = found.warnings
    assert "raise job.concurrent_runs to 63" in warning
    assert found.as_dict()["warnings"] == [warning]
    assert planned("50TB/day", quotas=LARGE, job={"concurrent_runs": 63}).warnings == ()


def test_a_batch_that_is_full_before_its_window_is_an_object() -> None:
    """6 MB at a third of a shard's 1 MB/s are there in 18 s."""
    found = planned("100MB/s", quotas=LARGE, stream={"batch_window_seconds": 300})
    assert lines_of(found)["objects a minute"] == pytest.approx(300 * 60 / 18)
    assert "raise job.concurrent_runs to 3" not in "".join(found.warnings)


def test_there_are_no_more_objects_than_records() -> None:
    found = planned("1GB/day", stream={"record_bytes": 1_000_000})
    assert lines_of(found)["objects a minute"] == pytest.approx(1_000 / 1_440)
    assert found.warnings == ()


def test_batches_at_the_same_time_write_smaller_objects() -> None:
    """Of 100 records: 10 MB/s of 1,000 bytes are 600,000 records a minute."""
    found = planned("10MB/s", quotas=LARGE, stream={"record_bytes": 1_000, "peak_factor": 1, "parallelization": 2})
    assert lines_of(found)["objects a minute"] == pytest.approx(6_000)


def test_files_need_no_stream() -> None:
    found = planned("50TB/day", streamed=False, quotas=LARGE)
    assert (found.shards, found.concurrency, found.object_concurrency) == (0, 0, OBJECT_CONCURRENCY)
    assert not [line for line in found.lines if "shards" in line.name]
    assert "objects a minute" not in lines_of(found)
    assert (lines_of(found)["objects taken a minute"], found.warnings) == (1_000, ())


@pytest.mark.parametrize(
    ("environment", "volume", "chosen", "workers"),
    [
        ("test", "50TB/day", None, 2),
        ("dev", "1GB/day", None, 2),
        ("prod", "1GB/day", None, 4),
        ("prod", "50TB/day", None, 33),
        ("prod", "50TB/day", 7, 7),
        ("test", "1GB/day", 9, 9),
    ],
)
def test_workers_by_environment_and_peak(environment: str, volume: str, chosen: int | None, workers: int) -> None:
    """G.1X has four cores of 20 MB/s, used to 70 %: 56 MB/s a worker, and one more drives."""
    assert planned(volume, environment=environment, quotas=LARGE, job={"workers_max": chosen}).workers == workers


def test_larger_workers_are_fewer() -> None:
    small = planned("50TB/day", quotas=LARGE, job={"worker_type": "G.1X"})
    large = planned("50TB/day", quotas=LARGE, job={"worker_type": "G.4X"})
    assert small.workers > large.workers > 4


def test_datasets_have_their_own_volumes() -> None:
    settings = settings_of("prod", stream={"volume": "1MB/s", "volumes": {"quotes": "9MB/s"}, "peak_factor": 2})
    found = plan(settings, ["quotes", "trades"], streamed=["quotes", "trades"])
    assert (found.dataset("quotes").shards, found.dataset("trades").shards, found.shards) == (18, 2, 20)
    with pytest.raises(KeyError):
        found.dataset("bars")


def test_volumes_of_no_dataset_are_told() -> None:
    with pytest.raises(UsageError, match="names qoutes") as caught:
        plan(settings_of("prod", stream={"volumes": {"qoutes": "1MB/s"}}), ["quotes"], streamed=["quotes"])
    assert "quotes" in caught.value.fix


def test_every_number_comes_with_its_arithmetic() -> None:
    found = planned("50TB/day", quotas=LARGE).as_dict()
    lines = found["lines"] + found["datasets"]["trades"]
    assert all(one["formula"] for one in lines)
    (shards,) = [one for one in found["datasets"]["trades"] if one["name"] == "shards"]
    assert shards["value"] == 1_737
    assert "1 MB/s" in shards["formula"]


def test_quotas_are_the_regions_or_what_was_raised() -> None:
    assert quotas.shards(settings_of("prod", region="us-west-2")).value == 20_000
    assert quotas.shards(settings_of("prod", quotas={"kinesis_shards": 7})).value == 7
    assert quotas.concurrency(settings_of("prod", quotas={"lambda_concurrency": 500})).value == 400
    assert quotas.workers(settings_of("prod")).value == 1_000
    quotas.workers(settings_of("prod")).require(1_000, "exactly what there is")


# ---- cost ---------------------------------------------------------------------------------------------------------


def bill(settings: Settings, *, streamed: bool = True) -> dict[str, float]:
    """Dollars by item."""
    found = estimate(settings, plan(settings, ["trades"], streamed=["trades"] if streamed else []))
    assert found.dollars == pytest.approx(sum(item.dollars for item in found.items))
    return {f"{item.service}: {item.name}": item.dollars for item in found.items}


def test_a_month_of_shards() -> None:
    """10 shards x 730 hours x $0.015."""
    found = bill(settings_of("prod", stream={"volume": "10MB/s", "peak_factor": 1, "retention_hours": 24}))
    assert found["Kinesis: trades: shards"] == pytest.approx(10 * 730 * 0.015)
    assert "Kinesis: trades: kept" not in found


def test_longer_retention_costs() -> None:
    found = bill(settings_of("prod", stream={"volume": "10MB/s", "peak_factor": 1, "retention_hours": 25}))
    assert found["Kinesis: trades: kept"] == pytest.approx(10 * 730 * 0.020)


def test_on_demand_streams_are_billed_by_what_goes_through() -> None:
    found = bill(settings_of("prod", stream={"volume": "1MB/s", "mode": "on_demand"}))
    gigabytes = 730 * 3600 / 1e3
    assert found["Kinesis: trades: written"] == pytest.approx(gigabytes * prices()["kinesis.on_demand_in_gb"]["price"])
    assert "Kinesis: trades: shards" not in found


def test_files_pay_for_no_stream() -> None:
    found = bill(settings_of("prod"), streamed=False)
    assert not [name for name in found if name.startswith(("Kinesis", "Lambda"))]
    assert found["Glue: job"] > 0


@pytest.mark.parametrize(("environment", "gateways"), [("test", 1), ("prod", 2)])
def test_the_network_is_billed_by_the_hour(environment: str, gateways: int) -> None:
    found = bill(settings_of(environment))
    assert found["VPC: NAT gateways"] == pytest.approx(gateways * 730 * 0.045)
    assert found["VPC: interface endpoints"] == pytest.approx(10 * 2 * 730 * 0.01)


def test_an_existing_vpc_pays_for_its_endpoints_alone() -> None:
    network = {
        "create": False,
        "cidr": "10.9.0.0/16",
        "vpc_id": "vpc-12345678",
        "private_subnet_ids": ["subnet-12345678"],
        "private_route_table_ids": ["rtb-12345678"],
        "availability_zones": ["eu-west-1b"],
    }
    found = bill(settings_of("prod", network=network))
    assert "VPC: NAT gateways" not in found
    assert found["VPC: interface endpoints"] == pytest.approx(10 * 730 * 0.01)
    found = bill(settings_of("prod", network={**network, "present_endpoints": ["s3", "kms", "logs"]}))
    assert found["VPC: interface endpoints"] == pytest.approx(8 * 730 * 0.01)


def test_a_larger_volume_costs_more() -> None:
    one, ten = (sum(bill(settings_of("prod", stream={"volume": volume})).values()) for volume in ("1MB/s", "10MB/s"))
    assert one < ten < 10 * one


def test_the_bill_has_a_json_form_with_its_formulas() -> None:
    settings = settings_of("prod")
    found = estimate(settings, plan(settings, ["trades"], streamed=["trades"])).as_dict()
    assert found["region_of_prices"] == "us-east-1"
    assert found["dollars_a_month"] == pytest.approx(sum(one["dollars"] for one in found["items"]), abs=0.1)
    assert all("$" in one["formula"] for one in found["items"])


def test_every_price_has_a_unit() -> None:
    assert all(one["price"] > 0 and one["unit"] for one in prices().values())


@pytest.mark.parametrize(("blueprint", "spare"), [("market-stream", 0), ("serverless-lake", 1)])
def test_what_is_checked_is_what_the_template_reserves(deployed, blueprint: str, spare: int) -> None:
    """A lake of files has no shards to scale."""
    functions = deployed[blueprint, "prod"].of("AWS::Lambda::Function")
    reserved = {one.name: one.get("ReservedConcurrentExecutions") for one in functions}
    others = [number for name, number in reserved.items() if "-stream-validator-" not in name]
    assert sum(others) == OBJECT_CONCURRENCY + OTHER_CONCURRENCY - spare
