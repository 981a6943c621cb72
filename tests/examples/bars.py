"""Sound daily bars made up for a test, and the arithmetic of adjusting them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from .support import Judged, example, judge_text

DAYS = 400
PAID = (60, 150, 240, 330)  # ex-dates, counted from the first bar
SHARE = 0.02
START = np.datetime64("2022-01-03")


@dataclass
class History:
    """Daily bars of one share: a random walk with a dividend of 2 % of the price on each of `PAID`."""

    close: np.ndarray
    dividend: np.ndarray
    adjusted: np.ndarray
    volume: np.ndarray
    split: np.ndarray
    gains: np.ndarray
    scale: dict[str, np.ndarray]

    def frame(self) -> pl.DataFrame:
        """As the feed of daily-bars.yaml delivers them: text."""
        days = START + np.arange(len(self.close))
        at = {name: self.scale.get(name, np.ones(len(self.close))) for name in ("open", "high", "low")}
        columns = {
            "day": [f"{day} 00:00:00+01:00" for day in days.astype(str)],
            "open": self.close * 1.001 * at["open"],
            "high": self.close * 1.004 * at["high"],
            "low": self.close * 0.996 * at["low"],
            "close": self.close,
            "adj_close": self.adjusted,
            "volume": self.volume,
            "dividends": self.dividend,
            "splits": self.split,
            "capital_gains": self.gains,
        }
        texts = {
            k: v if k == "day" else [None if np.isnan(x) else repr(float(x)) for x in v] for k, v in columns.items()
        }
        return pl.DataFrame({**texts, "symbol": ["test"] * len(self.close)})

    def judged(self, *, backwards: bool = False) -> Judged:
        """Judged by daily-bars.yaml."""
        frame = self.frame()
        return judge_text(example("daily-bars"), frame.reverse() if backwards else frame, "bars/test-1d.csv")

    def rows(self, *codes: str, backwards: bool = False) -> list[int]:
        """Positions of the bars that break `codes`, or any rejecting rule, in order of time."""
        days = (START + np.arange(len(self.close))).astype("datetime64[ns]").astype(np.int64) - 3_600_000_000_000
        times = self.judged(backwards=backwards).times(*codes)
        return [row for row, day in enumerate(days.tolist()) if day in times]

    def adjust(self, steps: dict[int, float] | None = None) -> None:
        """Compute adjusted closes; `steps` overrides the amount adjusted for on some ex-dates."""
        amounts = self.dividend.copy()
        for row, amount in (steps or {}).items():
            amounts[row] = amount
        share = np.zeros(len(self.close) + 1)
        share[1:-1] = amounts[1:] / self.close[:-1]
        self.adjusted = self.close * np.cumprod((1 - share)[::-1])[::-1][1:]


def history(seed: int = 7, *, share: float = SHARE, noise: float = 0.01, paid: tuple[int, ...] = PAID) -> History:
    """A sound history: the price falls by each dividend, and the adjusted close knows them all."""
    random = np.random.default_rng(seed)
    moves = random.normal(0, noise, DAYS)
    close, dividend = np.empty(DAYS), np.zeros(DAYS)
    close[0] = 50.0
    for row in range(1, DAYS):
        if row in paid:
            dividend[row] = round(close[row - 1] * share, 4)
        close[row] = (close[row - 1] - dividend[row]) * np.exp(moves[row])
    flat = np.zeros(DAYS)
    made = History(
        close, dividend, close.copy(), random.integers(1_000, 9_000, DAYS).astype(float), flat, flat.copy(), {}
    )
    made.adjust()
    return made
