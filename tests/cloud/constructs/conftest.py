"""Stacks that many tests look at, synthesized once."""

from __future__ import annotations

import pytest

from .whole import Whole, settings_of, whole


@pytest.fixture(scope="session")
def in_test(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return whole(settings_of("test"), tmp_path_factory.mktemp("test"))


@pytest.fixture(scope="session")
def in_prod(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return whole(settings_of("prod"), tmp_path_factory.mktemp("prod"))
