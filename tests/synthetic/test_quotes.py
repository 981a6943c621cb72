"""The truth of generated quotes holds for every record, for a judge who carries state on and for one who does not."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
from tape_judge import NUMBER, VENUES, nanoseconds, quote_fields, records, time_codes

from tapehouse.errors import UsageError
from tapehouse.synthetic.faults import QUOTE_FAULTS
from tapehouse.synthetic.quotes import generate_quotes
from tapehouse.synthetic.truth import Generated, read_truth

ROWS = 30_001


class Books:
    """Standing quotes and sequence numbers, as the rows before left them; faulty rows count too."""

    def __init__(self) -> None:
        self.bids: dict[str, dict[str, Decimal]] = defaultdict(dict)
        self.asks: dict[str, dict[str, Decimal]] = defaultdict(dict)
        self.last: dict[str, int] = {}

    def judge(self, record: bytes) -> set[str]:
        fields, malformed = quote_fields(record)
        if malformed:
            return {malformed}
        event, received, symbol, venue, bid, bid_size, ask, ask_size, sequence = fields
        codes = time_codes(nanoseconds(event), int(received))
        codes |= {"symbol_missing"} if not symbol else set()
        codes |= {"venue_unknown"} if venue not in VENUES else set()
        codes |= self._prices(symbol, venue, bid, ask)
        codes |= {f"{side}_size_negative" for side, size in (("bid", bid_size), ("ask", ask_size)) if int(size) < 0}
        return codes | (self._order(venue, int(sequence)) if sequence else set())

    def _prices(self, symbol: str, venue: str, bid: str, ask: str) -> set[str]:
        codes = set()
        for side, text, standing in (("bid", bid, self.bids), ("ask", ask, self.asks)):
            if NUMBER.fullmatch(text) is None:
                codes.add(f"{side}_price_invalid")
            elif Decimal(text) < 0:
                codes.add(f"{side}_price_negative")
            if NUMBER.fullmatch(text) and Decimal(text) != 0:
                standing[symbol][venue] = Decimal(text)
        if self.bids[symbol] and self.asks[symbol]:
            best_bid, best_ask = max(self.bids[symbol].values()), min(self.asks[symbol].values())
            codes |= {"book_crossed"} if best_bid > best_ask else set()
            codes |= {"book_locked"} if best_bid == best_ask else set()
        return codes

    def _order(self, venue: str, number: int) -> set[str]:
        before, self.last[venue] = self.last.get(venue), number
        if before is None:
            return set()
        return {"sequence_gap"} if number > before + 1 else {"sequence_stale"} if number < before else set()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    shares = dict.fromkeys(QUOTE_FAULTS, 0.004)
    return generate_quotes(tmp_path_factory.mktemp("tape"), rows=ROWS, seed=5, files=3, faults=shares, symbols=30)


@pytest.mark.parametrize("afresh", [False, True])
def test_every_record_breaks_exactly_what_the_truth_says(made: Generated, afresh: bool) -> None:
    truth = {(row["file"], row["row"]): set(row["codes"]) for row in read_truth(made.truth).iter_rows(named=True)}
    books, seen = Books(), 0
    for path in made.files:
        books = Books() if afresh else books
        for number, record in enumerate(records(path)):
            assert books.judge(record) == truth.get((path.name, number), set()), (path.name, number, record)
            seen += 1
    assert seen == ROWS == made.rows
    assert len(truth) == sum(made.faults.values()) == 120 * len(QUOTE_FAULTS)


def test_most_rows_update_one_side_alone_in_part(made: Generated) -> None:
    rows = [quote_fields(record)[0] for path in made.files for record in records(path)]
    bids = sum(fields[6] == "0.0000" for fields in rows if fields)
    asks = sum(fields[4] == "0.0000" for fields in rows if fields)
    assert min(bids, asks) > 0.1 * ROWS


def test_same_arguments_give_the_same_bytes_in_any_block_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = []
    for name, block in (("one", 262_144), ("two", 262_144), ("three", 173)):
        monkeypatch.setattr("tapehouse.synthetic.trades.BLOCK_ROWS", block)
        generate_quotes(tmp_path / name, rows=5_000, seed=3)
        digests.append([sha256(path.read_bytes()).hexdigest() for path in sorted((tmp_path / name).iterdir())])
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rows": 7, "files": 2}, "7 quotes cannot fill 2 files"),
        ({"rows": 100, "faults": {"late": 0.3}}, "need 30 places and there are 25"),
        ({"rows": 100, "faults": {"duplicate": 0.1}}, "no fault is called 'duplicate'"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        generate_quotes(tmp_path / "out", seed=1, **arguments)  # type: ignore[arg-type]
    assert words in refused.value.message
