"""What a comparison leaves out, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.statistics import Interval
from .methods import Method
from .numbers import has_width, is_known, plural
from .studies import Study

MOST = 6
"""Methods named in one remark."""


def not_compared(study: Study, setting: str) -> str:
    """Methods of a setting that are there, but not in the comparison, and why."""
    left = [m for m in study.methods if m.setting == setting and m not in study.compared]
    rest = [m.label for m in left if m.alone or not m.failed]
    text = failures(left)
    if rest:
        text += (
            f" Not compared (not complete, of one seed alone, or of a population): {_few(rest)}."
        )
    return text


def failures(methods: Sequence[Method]) -> str:
    """Methods whose other seeds would flatter them."""
    texts = [_of_seeds(m, len(m.failed)) for m in methods if m.failed and not m.alone]
    return f" {_few(texts)} failed: not compared." if texts else ""


def unfinished(methods: Sequence[Method]) -> str:
    """Compared methods that have seeds which have not ended, or were interrupted."""
    missing = [(m, len(m.seeds - m.scored)) for m in methods]
    texts = [_of_seeds(m, count) for m, count in missing if count]
    return f" Compared without seeds that are not complete: {_few(texts)}." if texts else ""


def caution(methods: Sequence[Method]) -> str:
    """What the intervals leave out, where there are too few seeds."""
    if all(len(m.runs) > 1 for m in methods):
        return ""
    least = min(methods, key=lambda m: len(m.runs))
    if not is_known(least.figures["average"]):
        return "; one seed and one episode: no interval"
    return "; intervals over episodes only, they say nothing of other seeds"


def without_width(found: Sequence[tuple[Interval, str]]) -> str:
    """An interval of no width looks certain, and is only of returns that are all equal."""
    flat = [where for x, where in found if is_known(x) and not has_width(x)]
    if not flat:
        return ""
    ends = "those intervals have" if len(flat) > 1 else "that interval has"
    where = " and ".join(flat)
    return f"; no spread between seeds and episodes in {where}, so {ends} no width"


def _of_seeds(method: Method, count: int) -> str:
    return f"{count} of {plural(len(method.seeds), 'seed')} of {method.label}"


def _few(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST} more" if len(texts) > MOST else ""
    return "; ".join(texts[:MOST]) + more
