"""Invented tapes: making one, and scoring what a lake found in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tapehouse.arguments import load_contract, open_lake
from tapehouse.errors import UsageError

if TYPE_CHECKING:
    from tapehouse.arguments import ContractLike, LakeLike
    from tapehouse.synthetic.score import Scorecard
    from tapehouse.synthetic.truth import Generated


def generate(
    kind: Literal["trades", "quotes"],
    out: str | Path,
    *,
    rows: int,
    seed: int = 1,
    files: int = 5,
    faults: str | Mapping[str, float] = "all",
    date: str = "2024-03-04",
    symbols: int = 500,
    on_rows: Callable[[int], None] | None = None,
) -> Generated:
    """Write an invented tape with known faults into a folder, with its reference table and the truth of every row."""
    from tapehouse.synthetic.faults import QUOTE_FAULTS, TRADE_FAULTS, parse_faults
    from tapehouse.synthetic.quotes import generate_quotes
    from tapehouse.synthetic.trades import generate_trades

    known = {"trades": TRADE_FAULTS, "quotes": QUOTE_FAULTS}
    if kind not in known:
        raise UsageError(f"{kind!r} cannot be generated", fix="one of trades, quotes")
    shares = parse_faults(faults, known[kind]) if isinstance(faults, str) else faults
    make = generate_trades if kind == "trades" else generate_quotes
    return make(
        Path(out), rows=rows, seed=seed, files=files, faults=shares, date=date, symbols=symbols, on_rows=on_rows
    )


def score(contract: ContractLike, truth: str | Path, *, lake: LakeLike, wrong_rows_max: int = 20) -> Scorecard:
    """Compare what the lake found in generated files with their truth: precision and recall of every rule."""
    from tapehouse.scoring import found_in
    from tapehouse.synthetic.score import score as score_
    from tapehouse.synthetic.truth import read_truth

    known = read_truth(Path(truth))
    found = found_in(open_lake(lake, read_only=True), load_contract(contract), Path(truth).parent)
    return score_(known, found, wrong_rows_max=wrong_rows_max)
