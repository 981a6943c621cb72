"""`lake serve`: what it tells, who may ask, and that it ends when told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyiceberg.catalog import load_catalog

from tapehouse.cli import exits

PROGRAM = Path(sys.executable).with_name("tapehouse")
TOKEN = "a token that is long enough"


@contextmanager
def serving(lake, *more, number=signal.SIGINT, token=""):
    """What the program tells as JSON; afterwards it must end well."""
    words = [PROGRAM, "lake", "serve", "--lake", lake, "--port", "0", "--json", *more]
    environment = os.environ | {"TAPEHOUSE_TOKEN": token}
    process = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        lines = [process.stdout.readline()]
        while lines[-1] not in ("}\n", ""):
            lines.append(process.stdout.readline())
        yield json.loads("".join(lines))
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
        assert (process.returncode, out, errors) == (exits.OK, "", "")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_what_it_tells_is_what_clients_need(lake, number):
    with serving(lake, number=number) as told:
        assert (told["writable"], told["token"]) == (False, False)
        assert told["spark"]["spark.sql.catalog.lake.uri"] == told["uri"]
        catalogue = load_catalog("lake", **told["pyiceberg"])
        assert catalogue.load_table("consolidated_trades.curated").scan().count() > 3_000
        with pytest.raises(Exception, match="--writable"):
            catalogue.create_namespace("desk")


def test_writing(own_lake):
    with serving(own_lake, "--writable") as told:
        load_catalog("lake", **told["pyiceberg"]).create_namespace("desk")


def test_tokens_are_asked_for_and_not_shown(lake, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    for more, token in (((), TOKEN), (("--token-file", tmp_path / "token"), "another that is long enough")):
        with serving(lake, *more, token=token) as told:
            assert told["token"]
            assert TOKEN not in json.dumps(told)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(told["uri"] + "/v1/config")
            assert load_catalog("lake", **(told["pyiceberg"] | {"token": TOKEN})).list_namespaces()


def test_what_cannot_be_served(call, lake, tmp_path):
    (tmp_path / "empty").write_text("\n")
    for words, code in (
        (("--host", "0.0.0.0"), exits.USAGE),
        (("--token-file", tmp_path / "nothing"), exits.USAGE),
        (("--token-file", tmp_path / "empty"), exits.USAGE),
        (("--host", "192.0.2.1", "--token-file", Path(__file__)), 5),
    ):
        assert call("lake", "serve", "--lake", lake, "--port", "0", *words).code == code
    assert call("lake", "serve", "--lake", tmp_path / "no", "--port", "0").code == 5


def test_settings_can_be_copied(lake):
    words = [str(word) for word in (PROGRAM, "lake", "serve", "--lake", lake, "--port", "0")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert "read-only" in said
    assert "--conf spark.sql.catalog.lake.type=rest" in out
    assert 'load_catalog("lake", type="rest", uri="http://127.0.0.1:' in out
    assert process.returncode == exits.OK
