"""Subnets of any block in any number of zones."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapehouse.cloud.cidrs import network, subnets
from tapehouse.errors import UsageError


@st.composite
def blocks(draw: st.DrawFn) -> str:
    """Any block of any size that can be divided."""
    prefix = draw(st.integers(16, 24))
    address = draw(st.integers(0, 2**32 - 1)) >> (32 - prefix) << (32 - prefix)
    return f"{ipaddress.IPv4Address(address)}/{prefix}"


@given(blocks(), st.integers(1, 3))
def test_subnets_never_overlap_and_lie_within(block: str, zones: int) -> None:
    found = subnets(block, zones)
    parts = [ipaddress.IPv4Network(one) for one in (*found.public, *found.private)]
    assert len(found.public) == len(found.private) == zones
    assert all(part.subnet_of(ipaddress.IPv4Network(block)) for part in parts)
    assert not any(one.overlaps(other) for at, one in enumerate(parts) for other in parts[at + 1 :])
    assert all(16 <= part.prefixlen <= 28 for part in parts)


@given(blocks(), st.integers(1, 2))
def test_another_zone_changes_no_subnet(block: str, zones: int) -> None:
    before, after = subnets(block, zones), subnets(block, zones + 1)
    assert after.public[:zones] == before.public
    assert after.private[:zones] == before.private


def test_private_subnets_have_the_room() -> None:
    found = subnets("10.40.0.0/16", 3)
    assert found.private == ("10.40.0.0/18", "10.40.64.0/18", "10.40.128.0/18")
    assert found.public == ("10.40.192.0/20", "10.40.208.0/20", "10.40.224.0/20")


@pytest.mark.parametrize("zones", [0, 4, -1])
def test_zones_are_one_to_three(zones: int) -> None:
    with pytest.raises(UsageError, match="take 1 to 3"):
        subnets("10.0.0.0/16", zones)


@pytest.mark.parametrize("block", ["10.0.0.0/15", "10.0.0.0/25", "0.0.0.0/0"])
def test_blocks_that_cannot_be_divided_are_told(block: str) -> None:
    with pytest.raises(UsageError, match="from /16 to /24"):
        subnets(block, 2)


@pytest.mark.parametrize("block", ["10.0.0.1/16", "10.0.0.0/33", "here", "", "fd00::/16"])
def test_what_is_no_block_is_told(block: str) -> None:
    with pytest.raises(UsageError, match="no IPv4 block"):
        network(block)
