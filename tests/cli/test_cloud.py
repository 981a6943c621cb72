"""`cloud`: what a deployment will be, before there is one."""

from __future__ import annotations

import pytest
import yaml


@pytest.fixture
def settings(tmp_path, call):
    """Settings that `cloud init` wrote."""
    done = call("cloud", "init", str(tmp_path))
    assert done.code == 0, done.err
    return tmp_path / "cloud.yaml"


def test_init_writes_settings_that_load_with_a_suffix_of_their_own(settings, tmp_path, call):
    values = yaml.safe_load(settings.read_text())
    other = tmp_path / "other"
    assert call("cloud", "init", str(other)).code == 0
    assert values["suffix"] != yaml.safe_load((other / "cloud.yaml").read_text())["suffix"]
    again = call("cloud", "init", str(tmp_path))
    assert again.code == 2
    assert "cloud.yaml, trades.yaml" in again.err


def test_fifty_terabytes_a_day_are_justified_line_by_line(settings, call):
    text = settings.read_text() + "quotas: {lambda_concurrency: 3000}\n"
    settings.write_text(text)
    done = call(
        "cloud", "size", "-b", "market-stream", "-e", "prod", "-s", str(settings), "--volume", "50TB/day", "--json"
    )
    assert done.code == 0, done.err
    lines = {line["name"]: line for line in done.json["datasets"]["trades"]}
    assert lines["mean input"]["value"] == pytest.approx(578.7, abs=0.1)
    assert lines["shards"]["value"] == 1737
    assert lines["concurrency"]["formula"] == "1,737 shards x parallelization 1"
    assert done.json["concurrency"] == 1737


def test_a_quota_that_would_be_exceeded_is_named(settings, call):
    done = call("cloud", "size", "-b", "market-stream", "-e", "prod", "-s", str(settings), "--volume", "50TB/day")
    assert done.code == 2
    assert "Lambda: Concurrent executions" in done.err
    assert "quotas.lambda_concurrency" in done.err


def test_files_need_no_shards(settings, call):
    done = call("cloud", "size", "-b", "serverless-lake", "-e", "prod", "-s", str(settings), "--json")
    assert done.json["shards"] == 0
    assert "shards" not in {line["name"] for line in done.json["datasets"]["trades"]}


def test_the_bill_adds_up_and_grows_with_the_volume(settings, call):
    def bill(volume: str) -> dict:
        return call("cloud", "cost", "-b", "market-stream", "-s", str(settings), "--volume", volume, "--json").json

    small, large = bill("1GB/day"), bill("1TB/day")
    assert small["dollars_a_month"] == pytest.approx(sum(item["dollars"] for item in small["items"]), abs=0.1)
    assert large["dollars_a_month"] > small["dollars_a_month"]
    shown = call("cloud", "cost", "-b", "market-stream", "-s", str(settings))
    assert "shards x 730 h x $0.015 a shard-hour" in shown.out


def test_releases_tell_what_expires(call):
    found = {one["version"]: one for one in call("cloud", "releases", "--on", "2028-05-01", "--json").json["releases"]}
    assert found["emr-6.9.0"]["expires"] == "ended"
    assert found["emr-7.14.0"]["expires"] == "180 days"
    assert found["python3.14"]["expires"] == "later"
    assert found["6.0"]["days_left"] is None
    assert call("cloud", "releases", "--on", "soon").code == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("environment: staging", "environment: Input should be 'dev', 'test' or 'prod' (got 'staging')"),
        ("suffix: Prod!", "suffix: String should match pattern"),
        ("regin: eu-west-1", "regin is not a setting; did you mean 'region'?"),
        ("network: {cidr: 8.8.0.0/16}", "network.cidr: Value error, 8.8.0.0/16 is not a private block"),
        ("stream: {peak_factor: 0.5}", "stream.peak_factor: Input should be greater than or equal to 1 (got 0.5)"),
        ("stream: {volume: much}", "'much' is no volume"),
        ("stream: {volumes: {quotes: 1GB/day}}", "stream.volumes names quotes"),
        ("[", "cloud.yaml:"),
    ],
)
def test_wrong_settings_are_told_with_file_name_value_and_bound(settings, call, change, told):
    key = change.split(":")[0]
    kept = [line for line in settings.read_text().splitlines() if not line.startswith(f"{key}:")]
    if key == "stream":
        kept = [line for line in kept if not line.startswith("  mode") and "volume" not in line and "peak" not in line]
    settings.write_text("\n".join([*kept, change]))
    done = call("cloud", "size", "-b", "market-stream", "-s", str(settings))
    assert done.code == 2
    assert told in done.err


def test_an_unknown_blueprint_is_told_with_those_that_there_are(settings, call):
    done = call("cloud", "size", "-b", "market-steam", "-s", str(settings))
    assert done.code == 2
    assert "market-stream" in done.err
