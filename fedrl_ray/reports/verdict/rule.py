"""The rule that recommends a method; docs/reports.md explains it, `words` states it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

from ...analysis import statistics
from ...analysis.statistics import Interval
from ..methods import Method
from ..studies import Study

TOLERANCE = 0.05
"""Share of the better average that a method may clearly lose and still be recommended."""

STEPS = (("average", TOLERANCE), ("worst", 0.0), ("average", 0.0))
"""Per step: the statistic that is compared, and the share of the better one that may be lost."""

ROUNDING = 1e-9
"""Share of the largest return; a smaller difference counts as rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """The compared methods of one setting, and the recommended one."""

    methods: tuple[Method, ...]
    recommended: Method

    @cached_property
    def subject(self) -> Method:
        """The robust method that the headline compares with `reference`."""
        return self.recommended if self._is_robust(self.recommended) else self._rival()

    @cached_property
    def reference(self) -> Method | None:
        """The method that `subject` is compared with: the recommended one, or its baseline."""
        if self.subject is not self.recommended:
            return self.recommended
        return baseline_of(self.subject, self.methods) if len(self.methods) > 1 else None

    def effect(self, statistic: str) -> Interval | None:
        """Return a statistic of the subject minus that of the reference; None without one."""
        if self.reference is None:
            return None
        return difference(self.subject, self.reference, statistic)

    def _is_robust(self, method: Method) -> bool:
        return method.omega > min(m.omega for m in self.methods)

    def _rival(self) -> Method:
        """Return the method to name beside a recommended baseline.

        Each preference applies only if some method meets it: a larger omega, a clearly better
        worst environment, equal other keys. The best in the worst environment is then returned.
        """
        one = self.recommended
        others = [m for m in self.methods if m is not one]
        robust = [m for m in others if m.omega > one.omega] or others
        clear = [m for m in robust if beats(m, one, "worst")] or robust
        near = [m for m in clear if _differ_in_omega_only(m, one)] or clear
        return best(near, "worst") if others else one


def verdicts(study: Study) -> list[Verdict]:
    """Return a verdict for each setting that has a complete method."""
    compared = [tuple(m for m in ms if m in study.compared) for ms in study.settings]
    return [Verdict(methods=ms, recommended=recommend(ms)) for ms in compared if ms]


def recommend(methods: Sequence[Method]) -> Method:
    """Return the method that the rule recommends among methods that may be compared."""
    left = methods
    for statistic, share in STEPS:
        left = unbeaten(left, statistic, share)
    least = min(m.omega for m in left)
    return best([m for m in left if m.omega == least], "worst")


def unbeaten(methods: Sequence[Method], statistic: str, share: float = 0.0) -> list[Method]:
    """Return the methods that no other beats; the largest estimate is always among them.

    Each method is compared with all others. If it were compared with the best estimate only, one
    noisy method on top would keep all the bad ones.
    """
    ranked = sorted(methods, key=lambda m: m.statistics[statistic].estimate, reverse=True)
    return [m for m in methods if not any(beats(o, m, statistic, share) for o in ranked)]


def beats(a: Method, b: Method, statistic: str, share: float = 0.0) -> bool:
    """Return True if a is clearly above b, and by more than a share of a's own estimate."""
    estimate = a.statistics[statistic].estimate
    lead = estimate - b.statistics[statistic].estimate
    return lead > share * abs(estimate) and is_gain(difference(a, b, statistic))


def beaten_by(method: Method, methods: Sequence[Method]) -> tuple[Method, str] | None:
    """Return the best method that beats it at the step that leaves it out, and the statistic."""
    left = methods
    for statistic, share in STEPS:
        if better := [m for m in left if beats(m, method, statistic, share)]:
            return best(better, statistic), statistic
        left = unbeaten(left, statistic, share)
    return None


def best(methods: Iterable[Method], statistic: str) -> Method:
    """Return the method with the largest estimate; the first of equal ones."""
    return max(methods, key=lambda m: m.statistics[statistic].estimate)


def baseline_of(method: Method, methods: Sequence[Method]) -> Method | None:
    """Return the baseline of a method: the smallest omega below its own, other keys equal.

    If there is none, the baseline is the best average at the smallest omega, whatever its other
    keys. A method of the smallest omega has no baseline (None).
    """
    near = [m for m in methods if _differ_in_omega_only(m, method) and m.omega < method.omega]
    if near:
        return min(near, key=lambda m: m.omega)
    least = min(m.omega for m in methods)
    below = [m for m in methods if m.omega == least and m.omega < method.omega]
    return best(below, "average") if below else None


def difference(a: Method, b: Method, statistic: str) -> Interval:
    """Return the statistic of a minus that of b, computed once; 0 if only rounding differs."""
    known = _KNOWN.setdefault(a, WeakKeyDictionary()).setdefault(b, {})
    if statistic not in known:
        known[statistic] = _difference(a, b, statistic)
    return known[statistic]


def _difference(a: Method, b: Method, statistic: str) -> Interval:
    assert a.returns is not None and b.returns is not None
    found = statistics.difference(a.returns, b.returns, statistic)
    least = ROUNDING * max(abs(a.returns).max(), abs(b.returns).max())
    return Interval(0.0, 0.0, 0.0) if all(abs(x) <= least for x in found) else found


def is_loss(interval: Interval) -> bool:
    """Return True if a difference is clearly below 0; False if its interval is NaN."""
    return interval.high < 0


def is_gain(interval: Interval) -> bool:
    """Return True if a difference is clearly above 0; False if its interval is NaN."""
    return interval.low > 0


_KNOWN: WeakKeyDictionary[Method, WeakKeyDictionary[Method, dict[str, Interval]]]
_KNOWN = WeakKeyDictionary()
"""Differences of methods in use, because a page needs each of them several times."""


def _differ_in_omega_only(a: Method, b: Method) -> bool:
    return a is not b and a.without_omega == b.without_omega
