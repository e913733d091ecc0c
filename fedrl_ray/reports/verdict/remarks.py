"""Remarks on a comparison: methods and seeds that it leaves out, and limits of its intervals."""

from __future__ import annotations

from collections.abc import Sequence

from ...analysis.statistics import Interval
from ..methods import Method
from ..numbers import has_width, is_known, plural
from ..studies import Study

MOST = 6
"""Methods named in one remark."""

_NAMES = {"average": "the average", "worst": "the worst environment"}


def not_compared(study: Study, setting: str) -> str:
    """Return sentences that name the methods of a setting outside the comparison, and why."""
    left = [m for m in study.methods if m.setting == setting and m not in study.compared]
    rest = [m.label for m in left if m.alone or not m.failed]
    text = failures(left)
    if rest:
        text += (
            " Methods that are incomplete, have one seed only, or are trials of a population are "
            f"not compared: {_few(rest)}."
        )
    return text


def failures(methods: Sequence[Method]) -> str:
    """Return a sentence on methods with failed seeds, whose other seeds would flatter them."""
    texts = [_seeds(m, len(m.failed), " failed") for m in methods if m.failed and not m.alone]
    return f" Methods with failed seeds are not compared: {_few(texts)}." if texts else ""


def unfinished(methods: Sequence[Method]) -> str:
    """Return a sentence on seeds of compared methods that have not ended or were interrupted."""
    missing = [(m, len(m.seeds - m.scored)) for m in methods]
    texts = [_seeds(m, count) for m, count in missing if count]
    return f" The comparison leaves out incomplete seeds: {_few(texts)}." if texts else ""


def caution(methods: Sequence[Method]) -> str:
    """Return a clause on intervals that do not cover seeds, because there are too few."""
    if all(len(m.runs) > 1 for m in methods):
        return ""
    least = min(methods, key=lambda m: len(m.runs))
    if not is_known(least.statistics["average"]):
        return "; one seed and one episode give no interval"
    return "; the intervals cover episodes only and say nothing about other seeds"


def without_width(found: Sequence[tuple[Interval, str]]) -> str:
    """Return a clause on intervals of no width, given with the names of their statistics.

    Such an interval looks certain, but only says that all returns are equal.
    """
    flat = [_NAMES[name] for x, name in found if is_known(x) and not has_width(x)]
    if not flat:
        return ""
    noun, verb = ("intervals", "have") if len(flat) > 1 else ("interval", "has")
    where = " and ".join(flat)
    return f"; the {noun} of {where} {verb} no width, because seeds and episodes do not differ"


def _seeds(method: Method, count: int, verb: str = "") -> str:
    """Return a text such as `omega 0.1 (2 of 5 seeds failed)`."""
    return f"{method.label} ({count} of {plural(len(method.seeds), 'seed')}{verb})"


def _few(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST} more" if len(texts) > MOST else ""
    return "; ".join(texts[:MOST]) + more
