"""The certificate: says equal only where every value is, names what differs, and cannot be changed unnoticed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import tapehouse
from tapehouse.certificate.digest import frame_digest
from tapehouse.certificate.signature import canonical, signing_key
from tapehouse.cli.main import app
from tapehouse.errors import UsageError
from tapehouse.lake.files import write
from tapehouse.runs.engine import Embedded
from tapehouse.runs.write import Written
from tapehouse.synthetic.truth import Generated

from .support import CONTRACTS

TRADES = str(CONTRACTS / "consolidated-trades.yaml")
Change = Callable[[pl.DataFrame], pl.DataFrame]


class Skewed(Embedded):
    """An engine that changes a little of one file of a table after all was counted."""

    name = "skewed"

    def __init__(self, table: str, change: Change) -> None:
        self._table, self._change = table, change

    def write(self, *given: object) -> tuple[Written, object]:  # type: ignore[override]
        written, beside = super().write(*given)  # type: ignore[arg-type]
        part = next(part for part in written.staged if part.spec.name == self._table and part.add)
        path = part.add[0]
        changed = self._change(pl.read_parquet(path))
        path.unlink()
        write(changed, path, part.spec.schema)
        return written, beside


CHANGES: dict[str, tuple[str, Change, str]] = {
    "a price by its last digit": (
        "curated",
        lambda rows: rows.with_columns(
            pl.when(pl.int_range(pl.len()) == 5).then(pl.col("price") + pl.lit("0.0001").cast(pl.Decimal(18, 4)))
            .otherwise("price").cast(pl.Decimal(18, 4)).alias("price")
        ),
        "price",
    ),
    "two neighbours change places": (
        "curated",
        lambda rows: pl.concat([rows[:7], rows[8:9], rows[7:8], rows[9:]]),
        "_row",
    ),
    "a row is missing": ("curated", lambda rows: rows[:-1], "symbol"),
    "a text is null": (
        "curated",
        lambda rows: rows.with_columns(pl.lit(None, pl.String).alias("conditions")),
        "conditions",
    ),
    "the sign of a zero": (
        "bars_1m",
        lambda rows: rows.with_columns(pl.lit(-0.0).alias("vwap")),
        "vwap",
    ),
}  # fmt: skip


def skewed(monkeypatch: pytest.MonkeyPatch, engine: Embedded) -> None:
    @contextmanager
    def opened(name: str, master: str | None = None) -> Iterator[Embedded]:
        yield engine

    monkeypatch.setattr("tapehouse.certification.open_engine", opened)


@pytest.mark.parametrize("what", list(CHANGES))
def test_any_difference_is_found(what: str, tape: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, change, column = CHANGES[what]
    if what == "the sign of a zero":
        # Both engines give 0.0 here, and one of them is then made to give -0.0.
        monkeypatch.setattr(
            "tapehouse.kernel.derive._vwap", lambda made, scale: pl.repeat(0.0, len(made.start), eager=True)
        )
    skewed(monkeypatch, Skewed(table, change))
    out = tmp_path / "c.json"
    command = ["certify", TRADES, *map(str, tape.files), "-r", str(tape.reference), "-o", str(out)]
    done = CliRunner().invoke(app, [*command, "--key", str(tmp_path / "key.pem"), "--json"])
    assert done.exit_code == 1, done.output
    document = json.loads(out.read_text())
    assert document["equal"] is False
    differs = [part for part in document["tables"] if not part["equal"]]
    assert [part["table"].split(".")[1] for part in differs] == [table]
    assert 1 <= len(differs[0]["differences"]) <= 5
    assert all(column in one["one"] for one in differs[0]["differences"])
    checked = CliRunner().invoke(app, ["certificate", str(out)])
    assert checked.exit_code == 1
    assert "NOT the same lake" in checked.output


def test_spark_is_certified_on_the_command_line(spark: object, tape: Generated, tmp_path: Path) -> None:
    out, key, keep = tmp_path / "c.json", tmp_path / "keys" / "key.pem", tmp_path / "keep"
    command = ["certify", TRADES, *map(str, tape.files), "-r", str(tape.reference), "-o", str(out)]
    done = CliRunner().invoke(app, [*command, "--key", str(key), "--keep", str(keep), "-q"])
    assert done.exit_code == 0, done.output
    assert "the same lake; certificate:" in done.output
    assert key.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in keep.iterdir()) == ["embedded", "spark"]
    document, signer = tapehouse.read_certificate(out)
    assert document["equal"] is True
    assert [run["engine"] for run in document["runs"]] == ["embedded", "spark"]
    assert {part["sha256"] for part in document["inputs"]} == {
        row["digest"]
        for run in (keep / "spark",)
        for row in tapehouse.query(run, "select digest from tapehouse.batches").to_dicts()
    }
    assert tapehouse.read_certificate(out, signer)[1] == signer
    again = CliRunner().invoke(app, [*command, "--key", str(key), "--keep", str(keep)])
    assert again.exit_code == 2
    assert "not an empty folder" in again.output


def test_a_changed_certificate_is_refused(tape: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skewed(monkeypatch, Skewed("curated", lambda rows: rows))
    out = tmp_path / "c.json"
    made = tapehouse.certify(TRADES, tape.files, references=tape.reference, out=out, key=tmp_path / "key.pem")
    assert made.equal
    document, signer = tapehouse.read_certificate(out)
    for wrong in (
        {**document, "equal": False},
        {**document, "contract": {**document["contract"], "version": "9"}},
        {**document, "extra": 1},
        {name: value for name, value in document.items() if name != "versions"},
    ):
        out.write_text(json.dumps(wrong))
        with pytest.raises(UsageError, match="was changed after it was signed"):
            tapehouse.read_certificate(out)
    out.write_text(json.dumps({name: value for name, value in document.items() if name != "signature"}))
    with pytest.raises(UsageError, match="no signature"):
        tapehouse.read_certificate(out)
    out.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=f"was signed with {signer.replace('+', '.')}"):
        tapehouse.read_certificate(out, "somebody else")
    for text, said in (("{", "no JSON"), ("[]", "no certificate"), ('{"format": "x"}', "no certificate")):
        out.write_text(text)
        with pytest.raises(UsageError, match=said):
            tapehouse.read_certificate(out)


def test_canonical_form() -> None:
    assert canonical({"b": "é\u2028", "a": [1, True, None]}) == '{"a":[1,true,null],"b":"é\u2028"}'.encode()


CELLS = {
    "int": (st.none() | st.integers(-(2**63), 2**63 - 1), pl.Int64),
    "text": (st.none() | st.text(max_size=4), pl.String),
    "real": (st.none() | st.floats(width=64), pl.Float64),
    "flag": (st.none() | st.booleans(), pl.Boolean),
    "raw": (st.none() | st.binary(max_size=3), pl.Binary),
}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # the first text takes a second
@given(data=st.data(), height=st.integers(1, 6))
def test_frames_with_one_digest_have_the_same_bits(data: st.DataObject, height: int) -> None:
    """Two columns of each kind, drawn from few values so that equal and unequal ones are both met."""
    kind = data.draw(st.sampled_from(sorted(CELLS)))
    cells, dtype = CELLS[kind]
    few = data.draw(st.lists(cells, min_size=1, max_size=2))
    draw = st.lists(st.sampled_from(few), min_size=height, max_size=height)
    one, other = data.draw(draw), data.draw(draw)
    same = [bits(value) for value in one] == [bits(value) for value in other]
    frames = [pl.DataFrame({"a": values, "b": one}, schema={"a": dtype, "b": dtype}) for values in (one, other)]
    assert (frame_digest(frames[0]) == frame_digest(frames[1])) == same


def bits(value: object) -> object:
    """NaNs and zeros by how they are written down; everything else as it is."""
    import struct

    return struct.pack("<d", value) if isinstance(value, float) else value


def test_nulls_do_not_trade_places_with_values() -> None:
    rest = list(range(63))
    assert frame_digest(pl.DataFrame({"a": [128, *rest]})) != frame_digest(pl.DataFrame({"a": [None, *rest]}))
    assert frame_digest(pl.DataFrame({"a": [True] * 8})) != frame_digest(pl.DataFrame({"a": [True] * 7 + [None]}))


def test_a_column_of_the_contract_counts_whatever_its_name(
    tape: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`at` and `engine` are columns of our own tables, which are not compared there."""
    text = Path(TRADES).read_text()
    contract = tmp_path / "contract.yaml"
    assert text.count("- name: conditions") == 1
    text = text.replace("- name: conditions\n", "- name: engine\n        physicalName: conditions\n", 1)
    contract.write_text(text)
    change = pl.col("engine") + "x"
    skewed(monkeypatch, Skewed("curated", lambda rows: rows.with_columns(change)))
    found = tapehouse.certify(
        contract, tape.files, references=tape.reference, out=tmp_path / "c.json", key=tmp_path / "key.pem"
    )
    assert not found.equal
    assert [part.table for part in found.tables if not part.equal] == ["consolidated_trades.curated"]
    assert {"_knowledge_time", "_run_id"} == set(found.tables[0].left_out)


def test_a_certificate_that_cannot_be_written_is_told_before_the_work(tape: Generated, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        tapehouse.certify(
            TRADES, tape.files, references=tape.reference, out=tmp_path / "no" / "c.json", key=tmp_path / "key.pem"
        )


def test_a_file_whose_name_is_no_unicode(tmp_path: Path, tape: Generated, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / os.fsdecode(b"trades-\xff.csv")
    odd.write_bytes(tape.files[0].read_bytes())
    skewed(monkeypatch, Skewed("curated", lambda rows: rows))
    tapehouse.certify(TRADES, [odd], references=tape.reference, out=tmp_path / "c.json", key=tmp_path / "key.pem")
    assert tapehouse.read_certificate(tmp_path / "c.json")[0]["equal"] is True


def test_keys_made_at_once_are_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: signing_key(tmp_path / "key.pem").private_bytes_raw(), range(8)))
    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]


def test_texts_do_not_run_into_each_other() -> None:
    one = pl.DataFrame({"a": ["ab", "c"], "b": ["", None]})
    assert frame_digest(one) != frame_digest(one.with_columns(a=pl.Series(["a", "bc"])))
    assert frame_digest(one) != frame_digest(one.with_columns(b=pl.Series([None, ""], dtype=pl.String)))
    assert frame_digest(one) == frame_digest(one.cast({"a": pl.Categorical}))
