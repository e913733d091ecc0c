"""Suggestions for a misspelt name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` if a known word is close, else an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def several_nearest(word: str, known: Iterable[str], most: int = 3) -> str:
    """Return ` (nearest: x, y, z)` with the known words that are close, else an empty string.

    A known word is close if it is spelt like the word or contains it.
    """
    words = list(known)
    spelt_alike = difflib.get_close_matches(word, words, n=most)
    containing = [name for name in words if word and word.lower() in name.lower()]
    close = list(dict.fromkeys([*spelt_alike, *containing]))[:most]
    return f" (nearest: {', '.join(close)})" if close else ""
