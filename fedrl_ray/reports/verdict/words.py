"""Sentences that state a verdict, and the rule behind it."""

from __future__ import annotations

from collections.abc import Sequence

from ...analysis.statistics import Interval
from ..keys import SYNC
from ..methods import Method
from ..numbers import interval_text, plural
from ..studies import Study
from . import remarks
from .rule import TOLERANCE, Verdict, beaten_by, beats, is_gain, is_loss

WHERE = {"average": "on average", "worst": "in the worst environment"}
"""Phrase for each statistic of a sentence."""

RULE_TITLE = "How is this chosen?"
"""Title of the rule, under which it is folded away."""

RULE = (
    "The rule has three steps; each step compares the methods that the step before it keeps. "
    "Step 1 leaves out every method whose average is clearly below another's, by more than "
    f"{TOLERANCE:.0%} of the magnitude of the other average. "
    "Step 2 leaves out every method whose worst environment is clearly below another's. "
    "Step 3 leaves out every method whose average is clearly below another's by any amount. "
    "From the methods that are left, the rule takes the smallest omega. At that omega it takes the "
    "E (and other keys) with the largest return in the worst environment. "
    "A difference is clear if its 95% interval excludes 0. If no difference is clear, the rule "
    "takes the smallest omega. "
    f"The average comes first: a clear loss of more than {TOLERANCE:.0%} there rules a method out, "
    "whatever it gains in the worst environment. For a smaller loss, any clear gain there is "
    "enough. "
    "Each interval covers one comparison and is not corrected for the number of comparisons. "
    "Statistics flatter a method that was picked among many."
)
"""The rule of `recommend`, as a page states it once."""


def answer(study: Study, verdict: Verdict) -> str:
    """Return the sentences of a verdict: comparison, recommendation, and what was left out."""
    excluded = remarks.not_compared(study, verdict.recommended.setting)
    rest = excluded + remarks.unfinished(verdict.methods)
    if verdict.reference is None:
        first = "Only one method can be judged: " if excluded else ""
        return f"{first}{describe(verdict.recommended)}{rest}"
    return f"{compare(study, verdict)} {recommendation(study, verdict)}{rest}"


def describe(method: Method) -> str:
    """Return a sentence on one method: `x returns 480 [470, 490] on average and ... `."""
    scope = "" if len(method.runs) > 1 else f"; {method.scope}"
    scope += remarks.without_width([(method.statistics[name], name) for name in WHERE])
    return f"{returns_text(method)} ({_conditions([method])}{scope})."


def returns_text(method: Method) -> str:
    """Return `x returns 480 [470, 490] on average and 455 [440, 470] in the worst environment`."""
    found = [f"{interval_text(method.statistics[name])} {where}" for name, where in WHERE.items()]
    return f"{method.label} returns {' and '.join(found)}"


def compare(study: Study, verdict: Verdict) -> str:
    """Return the sentence that compares the subject with its reference, with intervals."""
    a, b = verdict.subject, verdict.reference
    assert b is not None
    names = study.between(a, b)
    subject, reference = study.text(a, names), study.text(b, names)
    effects = [(x, name) for name in WHERE if (x := verdict.effect(name))]
    clear = [(x, name) for x, name in effects if _is_clear(x)]
    doubts = [(x, name) for x, name in effects if not _is_clear(x)]
    end = f"({_conditions([a, b])}{remarks.caution([a, b])}{remarks.without_width(effects)})."
    if not clear:
        both = " and ".join(f"{interval_text(x)} {WHERE[name]}" for x, name in doubts)
        return f"{subject} shows no clear difference from {reference}: {both} {end}"
    rest = [f"; the difference {WHERE[n]} is not clear: {interval_text(x)}" for x, n in doubts]
    return f"{subject} returns {_clear(clear, reference)}{''.join(rest)} {end}"


def _clear(effects: Sequence[tuple[Interval, str]], reference: str) -> str:
    """Return `3 [1, 5] less than x on average, but 41 [22, 60] more in the worst environment`."""
    (first, name), *others = effects
    text = f"{_size(first)} {_direction(first)} than {reference} {WHERE[name]}"
    for interval, name in others:
        joint = "and" if is_gain(interval) == is_gain(first) else "but"
        text += f", {joint} {_size(interval)} {_direction(interval)} {WHERE[name]}"
    return text


def _direction(interval: Interval) -> str:
    return "more" if is_gain(interval) else "less"


def _size(interval: Interval) -> str:
    """Return a clear difference as a positive number."""
    estimate, low, high = interval
    return interval_text(interval if is_gain(interval) else Interval(-estimate, -high, -low))


def _is_clear(interval: Interval) -> bool:
    return is_gain(interval) or is_loss(interval)


def _conditions(methods: list[Method]) -> str:
    """Return `5 seeds, E 100`: both counts if they differ, and E only if it is shared."""
    counts = list(dict.fromkeys(len(m.runs) for m in methods))
    seeds = plural(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} and {counts[1]} seeds"
    intervals = {m.sync_interval for m in methods}
    return seeds + (f", E {intervals.pop()}" if len(intervals) == 1 else "")


def recommendation(study: Study, verdict: Verdict) -> str:
    """Return the sentences that name the method to take and the part of the rule that decided."""
    text = study.text(verdict.recommended, study.names)
    if SYNC not in study.names:
        text += f", E {verdict.recommended.sync_interval}"
    return f"Recommended: {text}{_reason(study, verdict)}"


def _reason(study: Study, verdict: Verdict) -> str:
    method = verdict.recommended
    if verdict.subject is method:
        return (
            f", which has the smallest omega that the rule below keeps.{_because(study, verdict)}"
        )
    if verdict.subject.omega == method.omega:
        return ", by the rule below."
    return f". {_no_larger_omega(verdict)}"


def no_gain(verdict: Verdict) -> str:
    """Return sentences that say why a method of the smallest omega is recommended."""
    method = verdict.recommended
    if all(m.omega == method.omega for m in verdict.methods):
        return "All methods have the same omega."
    return f"It is the baseline. {_no_larger_omega(verdict)}"


def _no_larger_omega(verdict: Verdict) -> str:
    method = verdict.recommended
    if any(m.omega > method.omega and beats(m, method, "worst") for m in verdict.methods):
        return (
            "Each method with a larger omega that is clearly better in the worst environment is "
            f"clearly below another method on average, by more than {TOLERANCE:.0%}."
        )
    return "No larger omega is clearly better in the worst environment."


def _because(study: Study, verdict: Verdict) -> str:
    """Return a sentence on the method that rules out the reference.

    It is empty if the subject's own gain already shows why.
    """
    assert verdict.reference is not None
    found = beaten_by(verdict.reference, verdict.methods)
    if found is None or beats(verdict.subject, verdict.reference, found[1]):
        return ""
    loser, winner = (study.text(m, study.names) for m in (verdict.reference, found[0]))
    return f" The rule leaves out {loser}, which is clearly below {winner} {WHERE[found[1]]}."
