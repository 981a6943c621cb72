"""Rows of arithmetic: what templates of one size cannot show of every size."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapehouse.cloud.capacity.plan import SHARD_BYTES_PER_SECOND, plan
from tapehouse.cloud.capacity.quotas import QuotaError
from tapehouse.cloud.cidrs import subnets

from .ours import settings_of

BLOCKS = st.builds(
    lambda base, prefix: str(ipaddress.ip_network((base << (32 - prefix) & 0x00FFFFFF | 10 << 24, prefix))),
    st.integers(0, 2**22),
    st.integers(16, 22),
)


@pytest.mark.proves("C28")
@given(BLOCKS, st.integers(1, 3))
def test_subnets_never_overlap_and_stay_within(block: str, zones: int) -> None:
    found = subnets(block, zones)
    networks = [ipaddress.ip_network(one) for one in (*found.public, *found.private)]
    assert len(networks) == 2 * zones
    assert all(one.subnet_of(ipaddress.ip_network(block)) for one in networks)  # type: ignore[arg-type]
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


@pytest.mark.proves("C47")
@given(st.floats(0.001, 60), st.floats(1, 5))
def test_shards_carry_the_peak_of_any_volume(terabytes: float, peak: float) -> None:
    stream = {"volumes": {"trades": f"{terabytes:.3f}TB/day"}, "peak_factor": peak}
    quotas = {"kinesis_shards": 100_000, "lambda_concurrency": 100_000, "glue_workers": 1_000_000}
    found = plan(settings_of("prod", stream=stream, quotas=quotas), ["trades"], streamed=["trades"])
    assert found.shards * SHARD_BYTES_PER_SECOND >= found.datasets[0].peak_bytes_per_second
    assert found.datasets[0].peak_bytes_per_second == pytest.approx(
        round(terabytes, 3) * 1e12 / 86_400 * peak, rel=1e-6
    )


@pytest.mark.proves("C47")
def test_fifty_terabytes_exceed_default_quotas_by_name() -> None:
    stream = {"volumes": {"trades": "50TB/day"}, "peak_factor": 2}
    with pytest.raises(QuotaError, match="Shards per Region"):
        plan(settings_of("prod", stream=stream, quotas={}), ["trades"], streamed=["trades"])
    with pytest.raises(QuotaError, match="Concurrent executions"):
        plan(settings_of("prod", stream=stream, quotas={"kinesis_shards": 20_000}), ["trades"], streamed=["trades"])
    with pytest.raises(QuotaError, match="On-demand write throughput"):
        plan(settings_of("prod", stream={**stream, "mode": "on_demand"}, quotas={}), ["trades"], streamed=["trades"])
    raised = {"kinesis_shards": 20_000, "lambda_concurrency": 5_000}
    assert plan(settings_of("prod", stream=stream, quotas=raised), ["trades"], streamed=["trades"]).shards == 1_158
