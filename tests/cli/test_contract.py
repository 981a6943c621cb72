"""`contract`: lint, show, diff, new, schema."""

from __future__ import annotations

import json

from tapehouse.cli import exits


def test_lint(call, contract, tmp_path):
    done = call("contract", "lint", contract, "--json")
    assert (done.code, list(done.json)) == (exits.OK, ["ok", "findings"])
    bare = tmp_path / "bare.yaml"
    text = contract.read_text()
    start, end = text.index("slaProperties:"), text.index("customProperties:")
    bare.write_text(text[:start] + text[end:])
    found = call("contract", "lint", bare, contract, "--json")
    assert found.code == exits.OK
    assert "no_retention" in {one["code"] for one in found.json["findings"]}
    assert {one["file"] for one in found.json["findings"]} >= {str(bare)}
    strict = call("contract", "lint", bare, "--strict")
    assert strict.code == exits.FINDINGS
    assert "no_retention" in strict.out
    assert call("contract", "lint", bare, "--strict", "--json").json["ok"] is False


def test_lint_lists_every_problem_of_every_file(call, contract, tmp_path):
    for name, old, new in (
        ("a", "property: tapehouse.key", "property: tapehouse.kye"),
        ("b", "version: 1.0.0", "version: one"),
    ):
        (tmp_path / f"{name}.yaml").write_text(contract.read_text().replace(old, new))
    done = call("contract", "lint", tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "none.yaml", "--json")
    assert done.code == 3
    problems = done.json["error"]["problems"]
    assert {problem["file"].rpartition("/")[2] for problem in problems} == {"a.yaml", "b.yaml", "none.yaml"}
    assert all(problem["line"] > 0 for problem in problems if "none" not in problem["file"])
    told = call("contract", "lint", tmp_path / "a.yaml")
    assert "tapehouse.key" in told.err
    assert f"{tmp_path / 'a.yaml'}:" in told.err


def test_show(call, contract):
    shown = call("contract", "show", contract, "--json").json
    assert shown["name"] == "consolidated-trades"
    assert "price_band" in call("contract", "show", contract).out


def test_diff(call, contract, tmp_path):
    same = call("contract", "diff", contract, contract, "--json")
    assert (same.code, same.json) == (exits.OK, {"breaking": False, "changes": []})
    new = tmp_path / "new.yaml"
    new.write_text(
        contract.read_text().replace("property: tapehouse.scale, value: 6", "property: tapehouse.scale, value: 2")
    )
    done = call("contract", "diff", contract, new, "--json")
    assert done.code == exits.FINDINGS
    assert done.json["breaking"] is True
    change = next(one for one in done.json["changes"] if one["path"] == "columns.price.scale")
    assert (change["old"], change["new"], change["breaking"]) == (6, 2, True)
    assert "breaking: columns.price.scale" in call("contract", "diff", contract, new).out
    assert call("contract", "diff", contract, tmp_path / "none.yaml").code == 3


def test_new_gives_a_contract_that_runs(call, program, tmp_path):
    call("generate", "trades", "--rows", "300", "--files", "1", "--faults", "none", "--out", tmp_path)
    text = program("contract", "new", "--from", tmp_path / "trades_00.csv", "--name", "guess").out
    path = tmp_path / "guess.yaml"
    path.write_text(text)
    assert call("contract", "lint", path).code == exits.OK
    assert call("contract", "show", path, "--json").json["name"] == "guess"
    done = call("run", path, tmp_path / "trades_00.csv", "--lake", tmp_path / "lake", "--json")
    assert (done.code, done.json["rows_in"], done.json["quarantined"]) == (exits.OK, 300, 0)
    assert call("contract", "new", "--from", tmp_path / "none.csv").code == 4


def test_schema_is_json(call):
    assert json.loads(call("contract", "schema").out)["$schema"].startswith("https://json-schema.org/")
