"""The answer in plain words."""

from __future__ import annotations

from ..statistics import Interval
from .data import ReportData
from .keys import SYNC
from .methods import Method
from .numbers import interval_text, is_known, plural
from .studies import Study
from .verdict import Verdict, best, is_gain, is_loss, verdicts


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
        return [_join(title, _population(study) or _so_far(study))]
    return [
        _join([*title, study.setting_text(verdict.recommended)], _answer(study, verdict))
        for verdict in found
    ]


def _join(where: list[str], text: str) -> str:
    parts = ", ".join(part for part in where if part)
    return f"{parts}: {text}" if parts else text


def _answer(study: Study, verdict: Verdict) -> str:
    rest = _not_compared(study, verdict)
    if verdict.reference is None:
        first = "Only one method can be judged: " if rest else ""
        return f"{first}{describe(verdict.recommended)}{rest}"
    return f"{compare(study, verdict)} Recommended: {_recommended(study, verdict)}{rest}"


def describe(method: Method) -> str:
    """One method on its own: `x returns 480 [470, 490] in the average and ... `."""
    scope = "" if len(method.runs) > 1 else f"; {method.scope}"
    return (
        f"{method.label} returns {interval_text(method.figures['average'])} in the average and "
        f"{interval_text(method.figures['worst'])} in the worst environment "
        f"({_conditions([method])}{scope})."
    )


def compare(study: Study, verdict: Verdict) -> str:
    """What the subject gains and loses over the reference, with intervals."""
    a, b = verdict.subject, verdict.reference
    average, worst = verdict.effect("average"), verdict.effect("worst")
    assert b is not None and average is not None and worst is not None
    names = study.between(a, b)
    subject, reference = study.text(a, names), study.text(b, names)
    effects = ((average, AVERAGE), (worst, WORST))
    clear = _clear([(x, where) for x, where in effects if _is_clear(x)])
    doubts = [(interval_text(x), where) for x, where in effects if not _is_clear(x)]
    end = f"({_conditions([a, b])}{_caution([a, b])})."
    if not clear:
        both = " and ".join(f"{text} in {where}" for text, where in doubts)
        return f"{subject} shows no clear difference over {reference}: {both} {end}"
    but = "".join(f", with no clear difference in {where}, {text}" for text, where in doubts)
    return f"{subject} {clear} over {reference}{but} {end}"


AVERAGE, WORST = "the average", "the worst environment"


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
    """`5 seeds, E 100`; E only where it is the same."""
    counts = sorted({len(m.runs) for m in methods})
    seeds = plural(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} and {counts[1]} seeds"
    intervals = {m.sync_interval for m in methods}
    return seeds + (f", E {intervals.pop()}" if len(intervals) == 1 else "")


def _caution(methods: list[Method]) -> str:
    """What the intervals leave out, where there are too few seeds."""
    if all(len(m.runs) > 1 for m in methods):
        return ""
    least = min(methods, key=lambda m: len(m.runs))
    if not is_known(least.figures["average"]):
        return "; one seed and one episode: no interval"
    return "; intervals over episodes only, they say nothing of other seeds"


def _recommended(study: Study, verdict: Verdict) -> str:
    """The method with its E, and which part of the rule decided."""
    method = verdict.recommended
    text = study.text(method, study.names)
    if SYNC not in study.names:
        text += f", E {method.sync_interval}"
    if verdict.subject is method:
        return f"{text}, the smallest omega that is not clearly worse than the best."
    if verdict.subject.omega > method.omega:
        return (
            f"{text}; no larger omega is clearly better in the worst environment without a clear "
            "loss in the average."
        )
    return f"{text}, by the rule stated below."


def _not_compared(study: Study, verdict: Verdict) -> str:
    """Methods of the same setting that are there, but not in the comparison."""
    here = verdict.recommended.setting
    left = [m.label for m in study.methods if m.setting == here and m not in study.compared]
    if not left:
        return ""
    names = "; ".join(left[:6]) + (f" and {len(left) - 6} more" if len(left) > 6 else "")
    return f" Not compared (not complete, of one seed alone, or of a population): {names}."


def _population(study: Study) -> str:
    """Of a population there is a best trial, but no method: its keys changed on the way."""
    trials = [m for m in study.shown if m.alone and m.complete]
    if not trials:
        return ""
    return (
        f"Of {plural(len(trials), 'trial')} of a population, the best in the worst environment: "
        f"{describe(best(trials, 'worst'))} It was picked by these figures, so they flatter it; "
        "repeat its keys with other seeds before you trust it."
    )


def _so_far(study: Study) -> str:
    """While no method is complete: what there is."""
    if not study.shown:
        names = ", ".join(m.label for m in study.methods)
        return f"{names}: no evaluation yet."
    best_first = sorted(study.shown, key=lambda m: m.figures["worst"].estimate, reverse=True)
    return f"Not complete yet; so far {'; '.join(_brief(m) for m in best_first[:4])}."


def _brief(method: Method) -> str:
    steps = min(int(run.evaluations.steps[-1]) for run in method.runs)
    return (
        f"{method.label} returns {interval_text(method.figures['average'])} in the average and "
        f"{interval_text(method.figures['worst'])} in the worst environment after {steps:,} local "
        f"steps ({plural(len(method.runs), 'seed')})"
    )
