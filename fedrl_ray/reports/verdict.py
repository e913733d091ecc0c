"""Which method to take: the rule of docs/reports.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .. import statistics
from ..statistics import Interval
from .methods import Method
from .studies import Study

RULE = (
    "Rule: keep the methods whose average is not clearly below the best average, and of these the "
    "ones whose worst environment is not clearly below the best worst environment; take the "
    "smallest omega among them, and at that omega the E (and other keys) with the largest return "
    "in the worst environment. A difference is clear if its 95% interval excludes 0; where "
    "nothing is clear, the smallest omega is taken. Intervals are of one comparison each, not "
    "corrected for their number."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """One setting: the methods compared, and which of them to take."""

    methods: tuple[Method, ...]
    recommended: Method

    @cached_property
    def subject(self) -> Method:
        """The robust method that the headline speaks of."""
        return self.recommended if self._is_robust(self.recommended) else self._rival()

    @cached_property
    def reference(self) -> Method | None:
        """What it is compared with: the recommended method, or the baseline of it."""
        if self.subject is not self.recommended:
            return self.recommended
        return baseline_of(self.subject, self.methods) if len(self.methods) > 1 else None

    def effect(self, figure: str) -> Interval | None:
        """A figure of the subject minus that of the reference."""
        return None if self.reference is None else difference(self.subject, self.reference, figure)

    def _is_robust(self, method: Method) -> bool:
        return method.omega > min(m.omega for m in self.methods)

    def _rival(self) -> Method:
        """The best of larger omega beside the recommended baseline: at its other keys, if any."""
        others = [m for m in self.methods if m is not self.recommended]
        robust = [m for m in others if m.omega > self.recommended.omega] or others
        near = [m for m in robust if _differ_in_omega_only(m, self.recommended)]
        return best(near or robust, "worst") if others else self.recommended


def verdicts(study: Study) -> list[Verdict]:
    """A verdict for each setting that has a complete method."""
    compared = [tuple(m for m in ms if m in study.compared) for ms in study.settings]
    return [Verdict(methods=ms, recommended=recommend(ms)) for ms in compared if ms]


def recommend(methods: Sequence[Method]) -> Method:
    """The rule, on methods that may be compared."""
    fair = not_clearly_below(methods, "average")
    tied = not_clearly_below(fair, "worst")
    least = min(m.omega for m in tied)
    return best([m for m in tied if m.omega == least], "worst")


def not_clearly_below(methods: Sequence[Method], figure: str) -> list[Method]:
    """Methods but those whose difference to the best estimate has an interval below 0."""
    top = best(methods, figure)
    return [m for m in methods if m is top or not is_loss(difference(m, top, figure))]


def best(methods: Iterable[Method], figure: str) -> Method:
    """The largest estimate; the first of equals."""
    return max(methods, key=lambda m: m.figures[figure].estimate)


def baseline_of(method: Method, methods: Sequence[Method]) -> Method | None:
    """The smallest omega below a method's own, all other keys equal; else, whatever its other
    keys, the best average at the smallest omega. None for a method of the smallest omega."""
    near = [m for m in methods if _differ_in_omega_only(m, method) and m.omega < method.omega]
    if near:
        return min(near, key=lambda m: m.omega)
    least = min(m.omega for m in methods)
    below = [m for m in methods if m.omega == least and m.omega < method.omega]
    return best(below, "average") if below else None


def difference(a: Method, b: Method, figure: str) -> Interval:
    """Figure of a minus that of b."""
    assert a.returns is not None and b.returns is not None
    return statistics.difference(a.returns, b.returns, figure)


def is_loss(interval: Interval) -> bool:
    """Clearly below 0; never where there is no interval (NaN)."""
    return interval.high < 0


def is_gain(interval: Interval) -> bool:
    """Clearly above 0; never where there is no interval (NaN)."""
    return interval.low > 0


def _differ_in_omega_only(a: Method, b: Method) -> bool:
    return a is not b and a.without_omega == b.without_omega
