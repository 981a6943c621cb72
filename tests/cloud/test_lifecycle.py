"""What becomes of data, by environment."""

from __future__ import annotations

import pytest
from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs

from tapehouse.cloud.lifecycle import Lifecycle

from .constructs.whole import settings_of


@pytest.mark.parametrize("environment", ["dev", "test"])
def test_environments_but_production_leave_nothing(environment: str) -> None:
    lifecycle = Lifecycle.of(settings_of(environment))
    assert lifecycle.removal is RemovalPolicy.DESTROY
    assert lifecycle.database_removal is RemovalPolicy.DESTROY
    assert lifecycle.destroyable is True
    assert lifecycle.key_window_days == 7
    assert lifecycle.deletion_protection is False
    assert lifecycle.multi_az is False
    assert lifecycle.nat_per_zone is False
    assert lifecycle.log_retention is logs.RetentionDays.ONE_WEEK


def test_production_keeps_and_protects() -> None:
    lifecycle = Lifecycle.of(settings_of("prod"))
    assert lifecycle.removal is RemovalPolicy.RETAIN
    assert lifecycle.database_removal is RemovalPolicy.SNAPSHOT
    assert lifecycle.destroyable is False
    assert lifecycle.key_window_days == 30
    assert lifecycle.deletion_protection is True
    assert lifecycle.multi_az is True
    assert lifecycle.nat_per_zone is True
    assert lifecycle.log_retention is logs.RetentionDays.ONE_YEAR


@pytest.mark.parametrize("environment", ["dev", "test", "prod"])
def test_what_holds_nothing_goes_everywhere(environment: str) -> None:
    assert Lifecycle.of(settings_of(environment)).transient is RemovalPolicy.DESTROY
