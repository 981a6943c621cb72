"""What an operator may say, and what is told when it is wrong."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from tapehouse.cloud.settings import Consumer, Environment, Settings, new_suffix
from tapehouse.errors import UsageError

from .constructs.whole import CONSUMER, settings_of

BASE = {
    "environment": "test",
    "suffix": "x1a2",
    "region": "eu-central-1",
    "owner": "tape-desk",
    "cost_centre": "4711",
    "contracts": ["trades.yaml"],
}


def written(tmp_path: Path, **given: Any) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({name: one for name, one in {**BASE, **given}.items() if one is not None}))
    return path


def told(**given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        Settings.of({**BASE, **given}, source="settings.yaml")
    assert caught.value.fix == "correct settings.yaml"
    return caught.value.message


def test_a_file_is_read_and_flags_win(tmp_path: Path) -> None:
    settings = Settings.load(written(tmp_path), region="us-east-1", owner=None)
    assert settings.region == "us-east-1"
    assert settings.owner == "tape-desk"
    assert settings.environment is Environment.TEST
    assert settings.label == "test-x1a2"
    assert settings.production is False


def test_production_is_production() -> None:
    assert settings_of("prod").production is True
    assert settings_of("dev").production is False


def test_files_are_relative_to_the_settings(tmp_path: Path) -> None:
    settings = Settings.load(written(tmp_path, references={"symbols": "ref.csv"}))
    assert settings.contracts == (tmp_path / "trades.yaml",)
    assert settings.references == {"symbols": tmp_path / "ref.csv"}


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings_of("test").region = "us-east-1"  # type: ignore[misc]


@pytest.mark.parametrize("absent", [None, ""])
def test_a_file_without_a_suffix_gets_one_for_good(tmp_path: Path, absent: str | None) -> None:
    path = written(tmp_path, suffix=absent)
    first, second = Settings.load(path), Settings.load(path)
    assert first.suffix == second.suffix
    assert re.fullmatch("x[a-z0-9]{4}", first.suffix)
    assert path.read_text().count("suffix:") == 1


def test_comments_survive_a_new_suffix(tmp_path: Path) -> None:
    path = written(tmp_path, suffix=None)
    path.write_text(f"# Ours.\n{path.read_text()}")
    Settings.load(path)
    assert "# Ours." in path.read_text()


def test_a_given_suffix_is_not_written(tmp_path: Path) -> None:
    path = written(tmp_path, suffix=None)
    before = path.read_text()
    assert Settings.load(path, suffix="abc").suffix == "abc"
    assert path.read_text() == before


def test_a_suffix_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, suffix=None)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(UsageError, match="one cannot be written: Permission denied") as caught:
        Settings.load(path)
    assert "--suffix" in caught.value.fix


def test_suffixes_do_not_come_twice() -> None:
    assert len({new_suffix() for _ in range(50)}) > 45


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "settings.yaml:1:5: no YAML"), ("- a\n", "holds no settings"), ("", "holds no settings")],
)
def test_what_is_no_settings_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        Settings.load(path)


def test_yaml_that_is_wrong_nowhere_in_particular_is_told(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"a: \x00")
    with pytest.raises(UsageError, match="no YAML"):
        Settings.load(path)


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as caught:
        Settings.load(tmp_path / "absent.yaml")
    assert "--settings" in caught.value.fix


def test_all_that_is_wrong_is_told_at_once() -> None:
    message = told(region="Frankfurt", suffix="X", owner="")
    assert len(message.splitlines()) == 3
    assert "settings.yaml: region" in message
    assert "'Frankfurt'" in message


def test_a_missing_setting_is_told() -> None:
    with pytest.raises(UsageError, match="region is missing"):
        Settings.of({name: one for name, one in BASE.items() if name != "region"})


def test_a_misspelt_setting_is_guessed() -> None:
    message = told(cost_center="4711")
    assert "cost_center is not a setting" in message
    assert "cost_centre" in message
    assert "peak_factor" in told(stream={"peek_factor": 2})


def test_an_unknown_setting_is_told_without_a_guess() -> None:
    assert told(zzzzqqqq=1).endswith("zzzzqqqq is not a setting")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"cidr": "here"}, "no IPv4 block"),
        ({"cidr": "10.0.0.1/16"}, "no IPv4 block"),
        ({"cidr": "10.0.0.0/24"}, "need /16 to /22"),
        ({"cidr": "10.0.0.0/8"}, "need /16 to /22"),
        ({"cidr": "8.8.0.0/16"}, "is not a private block"),
        ({"cidr": "172.32.0.0/16"}, "is not a private block"),
        ({"zones": 1}, "network.zones"),
        ({"zones": 4}, "network.zones"),
        ({"vpc_id": "vpc-12345678"}, "set create: false to use it"),
        ({"create": False}, "give vpc_id, private_subnet_ids, private_route_table_ids and availability_zones"),
        ({"vpc_id": "vpc"}, "network.vpc_id"),
    ],
)
def test_networks_that_cannot_be_are_told(network: dict[str, object], message: str) -> None:
    assert message in told(network=network)


EXISTING = {
    "create": False,
    "vpc_id": "vpc-12345678",
    "private_subnet_ids": ["subnet-12345678"],
    "private_route_table_ids": ["rtb-12345678"],
    "availability_zones": ["eu-west-1b"],
}


def test_an_existing_vpc_is_named_by_all_its_ids_and_its_addresses() -> None:
    assert settings_of("test", network={**EXISTING, "cidr": "10.1.0.0/16"}).network.create is False
    assert "give cidr" in told(network=EXISTING)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"availability_zones": ["eu-west-1b", "eu-west-1c"]}, "1 private_subnet_ids in zones eu-west-1b, eu-west-1c;"),
        (
            {"private_subnet_ids": ["subnet-12345678", "subnet-12345679"], "availability_zones": ["eu-west-1b"] * 2},
            "2 private_subnet_ids in zones eu-west-1b, eu-west-1b; give one subnet in each zone",
        ),
        ({"availability_zones": ["eu-west-1"]}, "network.availability_zones"),
        ({"present_endpoints": ["kinesis"]}, "did you mean 'kinesis-streams'?"),
        ({"present_endpoints": ["zz"]}, "'zz' is no service that deployments call; it is one of athena, dynamodb,"),
    ],
)
def test_an_existing_vpc_that_cannot_be_is_told(given: dict[str, object], message: str) -> None:
    assert message in told(network={**EXISTING, "cidr": "10.1.0.0/16", **given})


@pytest.mark.parametrize("block", ["10.0.0.0/16", "172.16.0.0/20", "192.168.4.0/22"])
def test_private_blocks_are_taken(block: str) -> None:
    assert settings_of("test", network={"cidr": block}).network.cidr == block


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("external_id", "short"),
        ("account", "12345"),
        ("prefixes", []),
        ("prefixes", ["lake"]),
        ("prefixes", ["lake/*"]),
        ("name", "Risk"),
    ],
)
def test_consumers_that_would_read_too_much_or_not_at_all_are_told(field: str, value: object) -> None:
    assert f"consumers.0.{field}" in told(consumers=[{**CONSUMER, field: value}])


@pytest.mark.parametrize("prefix", ["lake/*/", "*/", "lake/${aws:username}/", "?/"])
def test_prefixes_are_no_patterns(prefix: str) -> None:
    assert "consumers.0.prefixes" in told(consumers=[{**CONSUMER, "prefixes": [prefix]}])


def test_consumers_are_known_by_name() -> None:
    assert settings_of("test").consumers == (Consumer.model_validate(CONSUMER),)
    assert "risk" in told(consumers=[CONSUMER, CONSUMER])


def test_overrides_give_a_reason() -> None:
    assert "overrides.glue.reason" in told(overrides={"glue": {"version": "5.1", "reason": "so"}})
    kept = settings_of("test", overrides={"glue": {"version": "5.1", "reason": "a library of ours needs it"}})
    assert kept.overrides["glue"].version == "5.1"


def test_the_day_of_support_can_be_said() -> None:
    assert settings_of("test", as_of="2026-11-27").as_of == date(2026, 11, 27)
    assert settings_of("test").as_of is None
