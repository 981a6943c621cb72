"""Tests that share an emulator or a Spark session stay together when several processes share the work."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("together")
def test_groups_reach_those_who_share_the_work(request: pytest.FixtureRequest):
    if not hasattr(request.config, "workerinput"):
        pytest.skip("one process runs all tests: there is nothing to part")
    assert request.node.nodeid.endswith("@together")
