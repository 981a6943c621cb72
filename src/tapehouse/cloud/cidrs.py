"""Subnets of a VPC, computed from its block.

The block is quartered. Each of the first three quarters is one zone's private subnet; the last holds the public ones,
which need room for little more than a NAT gateway. Where there are two zones, the third's addresses stay free, so that
adding a zone changes no subnet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from tapehouse.errors import UsageError

ZONES_MAX = 3
# AWS takes subnets from /28 up to /16, and VPCs from /28 up to /16. A public subnet is a sixteenth of the block.
_SMALLEST_SUBNET = 28
_LARGEST_BLOCK = 16


@dataclass(frozen=True, slots=True)
class Subnets:
    """IPv4 blocks in CIDR notation, one a zone."""

    public: tuple[str, ...]
    private: tuple[str, ...]


def subnets(block: str, zones: int) -> Subnets:
    """The subnets of a VPC with that block (such as 10.40.0.0/16) in `zones` zones, 1 to 3.

    UsageError when the block is none, has bits beyond its prefix, or is too small or too large.
    """
    if not 1 <= zones <= ZONES_MAX:
        raise UsageError(f"{zones} zones", fix=f"take 1 to {ZONES_MAX}")
    whole = network(block)
    if not _LARGEST_BLOCK <= whole.prefixlen <= _SMALLEST_SUBNET - 4:
        raise UsageError(
            f"{block} cannot be divided into subnets",
            fix=f"take a block from /{_LARGEST_BLOCK} to /{_SMALLEST_SUBNET - 4}",
        )
    *private, rest = whole.subnets(prefixlen_diff=2)
    return Subnets(_texts(list(rest.subnets(prefixlen_diff=2))[:zones]), _texts(private[:zones]))


def network(block: str) -> ipaddress.IPv4Network:
    """The block, parsed; UsageError when it is none."""
    try:
        return ipaddress.IPv4Network(block)
    except ValueError as error:
        raise UsageError(f"{block!r} is no IPv4 block: {error}", fix="write one such as 10.40.0.0/16") from error


def _texts(blocks: Iterable[ipaddress.IPv4Network]) -> tuple[str, ...]:
    return tuple(str(one) for one in blocks)
