"""The answer in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.statistics import Interval
from . import remarks
from .data import ReportData
from .keys import SYNC
from .methods import Method
from .numbers import interval_text, plural
from .studies import Study
from .verdict import TOLERANCE, Verdict, beaten_by, beats, best, is_gain, is_loss, verdicts


def headline(data: ReportData) -> str:
    """A sentence or two for each study, one study per line."""
    lines = [line for study in data.studies for line in _of_study(study, alone=_is_alone(data))]
    return "\n".join(lines) or "Nothing has been run yet."


def _is_alone(data: ReportData) -> bool:
    return len(data.studies) == 1


def _of_study(study: Study, *, alone: bool) -> list[str]:
    title = [] if alone else [study.title]
    found = verdicts(study)
    if not found:
        return [_join(title, _population(study) or _so_far(study.methods))]
    lines = [
        _join([*title, study.setting_text(verdict.recommended)], _answer(study, verdict))
        for verdict in found
    ]
    return lines + [
        _join([*title, study.setting_text(methods[0])], _so_far(methods))
        for methods in _unjudged(study, found)
    ]


def _unjudged(study: Study, found: Sequence[Verdict]) -> list[list[Method]]:
    """Methods of each setting that has no verdict; trials of a population are no methods."""
    judged = {verdict.recommended.setting for verdict in found}
    groups: dict[str, list[Method]] = {}
    for method in study.methods:
        if method.setting not in judged and not method.alone:
            groups.setdefault(method.setting, []).append(method)
    return list(groups.values())


def _join(where: list[str], text: str) -> str:
    parts = ", ".join(part for part in where if part)
    return f"{parts}: {text}" if parts else text


def _answer(study: Study, verdict: Verdict) -> str:
    others = remarks.not_compared(study, verdict.recommended.setting)
    rest = others + remarks.unfinished(verdict.methods)
    if verdict.reference is None:
        first = "Only one method can be judged: " if others else ""
        return f"{first}{describe(verdict.recommended)}{rest}"
    return f"{compare(study, verdict)} Recommended: {_recommended(study, verdict)}{rest}"


def describe(method: Method) -> str:
    """One method on its own: `x returns 480 [470, 490] in the average and ... `."""
    scope = "" if len(method.runs) > 1 else f"; {method.scope}"
    scope += remarks.without_width([(method.figures[x], WHERE[x]) for x in WHERE])
    return (
        f"{method.label} returns {interval_text(method.figures['average'])} in the average and "
        f"{interval_text(method.figures['worst'])} in the worst environment "
        f"({_conditions([method])}{scope})."
    )


def compare(study: Study, verdict: Verdict) -> str:
    """What the subject gains and loses over the reference, with intervals."""
    a, b = verdict.subject, verdict.reference
    assert b is not None
    names = study.between(a, b)
    subject, reference = study.text(a, names), study.text(b, names)
    effects = [(x, where) for name, where in WHERE.items() if (x := verdict.effect(name))]
    clear = _clear([(x, where) for x, where in effects if _is_clear(x)])
    doubts = [(interval_text(x), where) for x, where in effects if not _is_clear(x)]
    scope = remarks.caution([a, b]) + remarks.without_width(effects)
    end = f"({_conditions([a, b])}{scope})."
    if not clear:
        both = " and ".join(f"{text} in {where}" for text, where in doubts)
        return f"{subject} shows no clear difference over {reference}: {both} {end}"
    but = "".join(f", with no clear difference in {where}, {text}" for text, where in doubts)
    return f"{subject} {clear} over {reference}{but} {end}"


WHERE = {"average": "the average", "worst": "the worst environment"}


def _clear(effects: list[tuple[Interval, str]]) -> str:
    """`loses 3 [1, 5] in the average and gains 41 [22, 60] in the worst environment`."""
    parts, verb = [], ""
    for interval, where in effects:
        text = f"{_size(interval)} in {where}"
        new = "gains" if is_gain(interval) else "loses"
        parts.append(text if new == verb else f"{new} {text}")
        verb = new
    return " and ".join(parts)


def _size(interval: Interval) -> str:
    """A loss is told as a positive number."""
    estimate, low, high = interval
    return interval_text(interval if is_gain(interval) else Interval(-estimate, -high, -low))


def _is_clear(interval: Interval) -> bool:
    return is_gain(interval) or is_loss(interval)


def _conditions(methods: list[Method]) -> str:
    """`5 seeds, E 100`: of two methods `5 and 3 seeds`, in their order; E where it is the same."""
    counts = list(dict.fromkeys(len(m.runs) for m in methods))
    seeds = plural(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} and {counts[1]} seeds"
    intervals = {m.sync_interval for m in methods}
    return seeds + (f", E {intervals.pop()}" if len(intervals) == 1 else "")


def _recommended(study: Study, verdict: Verdict) -> str:
    """The method with its E, and which part of the rule decided."""
    method = verdict.recommended
    text = study.text(method, study.names)
    if SYNC not in study.names:
        text += f", E {method.sync_interval}"
    if verdict.subject is method:
        return f"{text}, the smallest omega that the rule below leaves{_because(study, verdict)}."
    if verdict.subject.omega == method.omega:
        return f"{text}, by the rule below."
    if any(m.omega > method.omega and beats(m, method, "worst") for m in verdict.methods):
        return (
            f"{text}; what is clearly better in the worst environment at a larger omega is clearly "
            f"below another method in the average, by more than {TOLERANCE:.0%}."
        )
    return f"{text}; no larger omega is clearly better in the worst environment."


def _because(study: Study, verdict: Verdict) -> str:
    """What rules out the reference, where the subject's own gain does not show it."""
    assert verdict.reference is not None
    found = beaten_by(verdict.reference, verdict.methods)
    if found is None or beats(verdict.subject, verdict.reference, found[1]):
        return ""
    loser, winner = (study.text(m, study.names) for m in (verdict.reference, found[0]))
    return f" ({loser} is clearly below {winner} in {WHERE[found[1]]})"


def _population(study: Study) -> str:
    """Of a population there is a best trial, but no method: its keys changed on the way."""
    trials = [m for m in study.shown if m.alone and m.complete]
    if not trials:
        return ""
    return (
        f"Of {plural(len(trials), 'complete trial')} of a population, the best in the worst "
        f"environment: {describe(best(trials, 'worst'))} It was picked by these figures, so "
        "they flatter it; repeat its keys with other seeds before you trust it."
    )


def _so_far(methods: Sequence[Method]) -> str:
    """While no method is complete: what there is."""
    failed = remarks.failures(methods)
    shown = [m for m in methods if m.figures]
    if not shown:
        waiting = ", ".join(m.label for m in methods if m.alone or not m.failed)
        return (f"{waiting}: no evaluation yet.{failed}" if waiting else failed).strip()
    best_first = sorted(shown, key=lambda m: m.figures["worst"].estimate, reverse=True)
    more = f"; and {len(shown) - 4} more" if len(shown) > 4 else ""
    brief = "; ".join(_brief(m) for m in best_first[:4])
    return f"Not complete; so far {brief}{more}.{failed}"


def _brief(method: Method) -> str:
    steps = min(int(run.evaluations.steps[-1]) for run in method.runs)
    return (
        f"{method.label} returns {interval_text(method.figures['average'])} in the average and "
        f"{interval_text(method.figures['worst'])} in the worst environment after {steps:,} local "
        f"steps ({plural(len(method.runs), 'seed')})"
    )
