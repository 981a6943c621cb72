"""`certify` and `certificate`: the same lake from two engines, on paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapehouse.cli import exits
from tapehouse.cli.options import ContractFile, Inputs, Json, Master, Quiet, References

if TYPE_CHECKING:
    from tapehouse.certificate.certify import Certification

_KEY = Path("~/.config/tapehouse/certificate-key.pem")


def certify(
    contract: ContractFile,
    inputs: Inputs,
    reference: References = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The certificate.")] = Path(
        "certificate.json"
    ),
    key: Annotated[
        Path, typer.Option("--key", metavar="FILE", help="Private Ed25519 key (PEM); made if there is none.")
    ] = _KEY,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Leave both lakes in DIR, which must be empty.", show_default=False),
    ] = None,
    master: Master = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prove that Spark makes the same lake.

    Runs the input embedded and on Spark, into two lakes, and compares every row of every table: values, order in the
    partition, reasons, duplicates, bars, metrics, proofs. Writes a signed certificate. Exits with 1 if anything
    differs, and shows the first rows that do.

    \b
    Examples:
      tapehouse certify trades.yaml landing/*.csv --reference ref.csv
      tapehouse certify trades.yaml landing --master 'local[4]' --out trades.certificate.json
    """
    from tapehouse import api
    from tapehouse.cli.output import emit
    from tapehouse.cli.parse import references
    from tapehouse.cli.progress import progress

    with progress(quiet=quiet or as_json) as shown:
        found = api.certify(
            contract,
            inputs,
            references=references(reference),
            out=out,
            key=key,
            keep=keep,
            master=master,
            progress=shown,
        )
    if as_json:
        emit(found.document())
    else:
        _show(found, out)
    if not found.equal:
        raise typer.Exit(exits.FINDINGS)


def _show(found: Certification, out: Path) -> None:
    from tapehouse.cli.output import table

    one, other = (result.engine for result in found.runs)
    rows = [
        (part.table, *part.rows, "equal" if part.equal else "DIFFERS", part.sha256[0][:16]) for part in found.tables
    ]
    table(("table", one, other, "", "sha256"), rows)
    for part in found.tables:
        for difference in part.differences:
            print(f"{part.table} partition {difference.partition or '-'} row {difference.row}:")
            print(f"  {one:10} {dict(difference.one)}\n  {other:10} {dict(difference.other)}")
    for result in found.runs:
        print(f"{result.engine}: {result.status.value}, {result.rows_in:,} rows in, {result.seconds:.2f} s")
    print(f"{'the same lake' if found.equal else 'NOT the same lake'}; certificate: {out}")


def certificate(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate.", show_default=False)],
    signer: Annotated[
        str, typer.Option("--signer", metavar="KEY", help="Public key (base64) it must be signed with.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Check a certificate's signature and tell what it says.

    Exits with 1 if it says that the lakes differ, with 2 if it was changed or signed by another.

    \b
    Examples:
      tapehouse certificate certificate.json
      tapehouse certificate certificate.json --signer 'mC1r…='
    """
    from tapehouse import api
    from tapehouse.cli.output import emit, facts

    document, public = api.read_certificate(path, signer)
    if as_json:
        emit({"signed_by": public, **document})
    else:
        said = {
            "says": "the same lake" if document["equal"] else "NOT the same lake",
            "contract": f"{document['contract']['name']} {document['contract']['version']}",
            "rows": document["runs"][0]["rows_in"],
            "engines": [run["engine"] for run in document["runs"]],
            "issued": document["issued_at"],
            "signed by": public,
        }
        facts(said)
    if not document["equal"]:
        raise typer.Exit(exits.FINDINGS)
