"""Guesses what an author meant by a word that is not known."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches


def did_you_mean(word: str, choices: Collection[str]) -> str:
    """A sentence that proposes the nearest of `choices`, or nothing."""
    folded = {choice.lower().replace("_", "").replace("-", ""): choice for choice in choices}
    plain = word.lower().replace("_", "").replace("-", "")
    near = get_close_matches(plain, folded, n=1, cutoff=0.65)
    return f"did you mean {folded[near[0]]!r}?" if near else ""
