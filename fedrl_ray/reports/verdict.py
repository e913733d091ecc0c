"""Which method to take: the rule of docs/reports.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

from ..analysis import statistics
from ..analysis.statistics import Interval
from .methods import Method
from .studies import Study

TOLERANCE = 0.05
"""Share of the better average that a method may clearly lose and still be taken."""

STEPS = (("average", TOLERANCE), ("worst", 0.0), ("average", 0.0))
"""Figures by which methods are left out, in turn, and the share of the better one to lose."""

ROUNDING = 1e-9
"""Share of the returns below which a difference is one of rounding."""

RULE = (
    "Rule: leave out, one step after the other, (1) methods whose average is clearly below "
    f"another's, by more than {TOLERANCE:.0%} of its magnitude; (2) methods whose worst "
    "environment is clearly below another's; (3) methods whose average is clearly below another's "
    "by any amount. "
    "Each step compares what the one before it leaves. Take the smallest omega that is left, and "
    "at that omega the E (and other keys) with the largest return in the worst environment. A "
    "difference is clear if its 95% interval excludes 0; where nothing is clear, the smallest "
    f"omega is taken. So the average comes first: a clear loss of more than {TOLERANCE:.0%} there "
    "rules a method out, whatever it gains in the worst environment; for a smaller loss, any "
    "clear gain there is enough. Intervals are of one comparison each, not corrected for their "
    "number, and the figures of a method picked among many flatter it."
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
        """What to name beside the recommended baseline, of larger omega if there is any: one that
        is clearly better in the worst environment; of these, or of all, one at its other keys; of
        these the best."""
        one = self.recommended
        others = [m for m in self.methods if m is not one]
        robust = [m for m in others if m.omega > one.omega] or others
        clear = [m for m in robust if beats(m, one, "worst")] or robust
        near = [m for m in clear if _differ_in_omega_only(m, one)] or clear
        return best(near, "worst") if others else one


def verdicts(study: Study) -> list[Verdict]:
    """A verdict for each setting that has a complete method."""
    compared = [tuple(m for m in ms if m in study.compared) for ms in study.settings]
    return [Verdict(methods=ms, recommended=recommend(ms)) for ms in compared if ms]


def recommend(methods: Sequence[Method]) -> Method:
    """The rule, on methods that may be compared."""
    left = methods
    for figure, share in STEPS:
        left = unbeaten(left, figure, share)
    least = min(m.omega for m in left)
    return best([m for m in left if m.omega == least], "worst")


def unbeaten(methods: Sequence[Method], figure: str, share: float = 0.0) -> list[Method]:
    """Methods that no other beats; the largest estimate is always among them.

    Each is compared with all others: beside the best estimate alone, one noisy method on top
    would keep all the bad ones.
    """
    ranked = sorted(methods, key=lambda m: m.figures[figure].estimate, reverse=True)
    return [m for m in methods if not any(beats(o, m, figure, share) for o in ranked)]


def beats(a: Method, b: Method, figure: str, share: float = 0.0) -> bool:
    """Whether a is clearly above b, and by more than a share of its own estimate."""
    estimate = a.figures[figure].estimate
    lead = estimate - b.figures[figure].estimate
    return lead > share * abs(estimate) and is_gain(difference(a, b, figure))


def beaten_by(method: Method, methods: Sequence[Method]) -> tuple[Method, str] | None:
    """The best method that beats it, and in which figure, at the step that leaves it out."""
    left = methods
    for figure, share in STEPS:
        if better := [m for m in left if beats(m, method, figure, share)]:
            return best(better, figure), figure
        left = unbeaten(left, figure, share)
    return None


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
    """Figure of a minus that of b; computed once, and 0 where only rounding differs."""
    known = _KNOWN.setdefault(a, WeakKeyDictionary()).setdefault(b, {})
    if figure not in known:
        known[figure] = _difference(a, b, figure)
    return known[figure]


def _difference(a: Method, b: Method, figure: str) -> Interval:
    assert a.returns is not None and b.returns is not None
    found = statistics.difference(a.returns, b.returns, figure)
    least = ROUNDING * max(abs(a.returns).max(), abs(b.returns).max())
    return Interval(0.0, 0.0, 0.0) if all(abs(x) <= least for x in found) else found


def is_loss(interval: Interval) -> bool:
    """Clearly below 0; never where there is no interval (NaN)."""
    return interval.high < 0


def is_gain(interval: Interval) -> bool:
    """Clearly above 0; never where there is no interval (NaN)."""
    return interval.low > 0


_KNOWN: WeakKeyDictionary[Method, WeakKeyDictionary[Method, dict[str, Interval]]]
_KNOWN = WeakKeyDictionary()
"""Differences of methods that are still in use: a page asks for the same ones several times."""


def _differ_in_omega_only(a: Method, b: Method) -> bool:
    return a is not b and a.without_omega == b.without_omega
