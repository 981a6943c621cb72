"""Metrics files: parsed back by the grammar of the exposition format, and replaced whole."""

from __future__ import annotations

import json
import re
import stat

import pytest

from tapehouse.errors import UsageError
from tapehouse.observe.metrics_text import RunMetrics, prometheus_text, write_metrics

METRICS = RunMetrics(
    contract='odd "name"\\\n',
    environment="test",
    seconds=4.0,
    ended_seconds=1_795_000_000.25,
    succeeded=True,
    proof_closed=False,
    bytes_in=12_345,
    dispositions={"rows_in": 1000, "curated": 990, "quarantined": 10},
    rules={"late": 10, "price_invalid": 0},
)
SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (-?[0-9.e+]+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def _parsed(text):
    """{(name, label values without the common ones): value}, checking the grammar line by line."""
    samples, announced = {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            announced = line.split()[2]
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {announced} gauge"
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            labels = {k: re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), v) for k, v in LABEL.findall(match[2])}
            assert match[1] == announced
            assert labels.pop("contract") == METRICS.contract
            assert labels.pop("environment") == "test"
            samples[match[1].removeprefix("tapehouse_run_"), *labels.values()] = float(match[3])
    return samples


def test_text_says_every_number_once():
    assert _parsed(prometheus_text(METRICS)) == {
        ("rows", "rows_in"): 1000,
        ("rows", "curated"): 990,
        ("rows", "quarantined"): 10,
        ("rule_rows", "late"): 10,
        ("rule_rows", "price_invalid"): 0,
        ("duration_seconds",): 4.0,
        ("rows_per_second",): 250.0,
        ("input_bytes",): 12_345,
        ("succeeded",): 1,
        ("proof_closed",): 0,
        ("ended_timestamp_seconds",): 1_795_000_000.25,
    }


def test_a_run_of_nothing_has_no_rule_series_and_divides_by_nothing():
    empty = RunMetrics("c", "e", 0.0, 0.0, succeeded=False, proof_closed=True, bytes_in=0)
    text = prometheus_text(empty)
    assert "rule_rows" not in text
    assert 'tapehouse_run_rows_per_second{contract="c",environment="e"} 0.0' in text
    assert 'tapehouse_run_succeeded{contract="c",environment="e"} 0' in text


@pytest.mark.parametrize("name", ["run.prom", "run.txt", "run.json"])
def test_file_is_replaced_whole_and_readable_by_others(tmp_path, name):
    path = tmp_path / "deep" / name
    write_metrics(METRICS, path)
    first = path.read_text()
    with path.open() as reader:  # a collector in the middle of the old file
        write_metrics(METRICS, path)
        assert reader.read() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_json_holds_the_same_numbers(tmp_path):
    write_metrics(METRICS, tmp_path / "m.json")
    document = json.loads((tmp_path / "m.json").read_text())
    assert document["dispositions"] == dict(METRICS.dispositions)
    assert (document["succeeded"], document["proof_closed"]) == (True, False)


def test_unknown_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"end it in \.prom"):
        write_metrics(METRICS, tmp_path / "m.yaml")
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "m.prom").mkdir()
    with pytest.raises(OSError, match=r"m\.prom"):
        write_metrics(METRICS, tmp_path / "m.prom")
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.prom"]
