"""The answer of a report in plain words: a line for each study and setting."""

from __future__ import annotations

from collections.abc import Sequence

from .data import ReportData
from .methods import Method
from .numbers import plural
from .studies import Study
from .verdict import remarks
from .verdict.rule import Verdict, best, verdicts
from .verdict.words import answer, describe, returns_text

MOST = 4
"""Methods named while none is complete."""


def headline(data: ReportData) -> str:
    """Return a few sentences for each setting of each study, a line per setting."""
    alone = len(data.studies) == 1
    lines = [line for study in data.studies for line in _of_study(study, alone=alone)]
    return "\n".join(lines) or "No run has started yet."


def _of_study(study: Study, *, alone: bool) -> list[str]:
    title = [] if alone else [study.title]
    found = verdicts(study)
    if not found:
        return [_join(title, _population(study) or _so_far(study.methods))]
    lines = [
        _join([*title, study.setting_text(verdict.recommended)], answer(study, verdict))
        for verdict in found
    ]
    return lines + [
        _join([*title, study.setting_text(methods[0])], _so_far(methods))
        for methods in _unjudged(study, found)
    ]


def _unjudged(study: Study, found: Sequence[Verdict]) -> list[list[Method]]:
    """Return the methods of each setting without a verdict, without trials of a population."""
    judged = {verdict.recommended.setting for verdict in found}
    groups: dict[str, list[Method]] = {}
    for method in study.methods:
        if method.setting not in judged and not method.alone:
            groups.setdefault(method.setting, []).append(method)
    return list(groups.values())


def _join(where: list[str], text: str) -> str:
    parts = ", ".join(part for part in where if part)
    return f"{parts}: {text}" if parts else text


def _population(study: Study) -> str:
    """Return sentences on the best trial of a population; empty if no trial is complete.

    A population has no methods to compare, because the keys of its trials change during a run.
    """
    trials = [m for m in study.shown if m.alone and m.complete]
    if not trials:
        return ""
    return (
        f"The population has {plural(len(trials), 'complete trial')}. Best in the worst "
        f"environment: {describe(best(trials, 'worst'))} These statistics also picked the trial, "
        "so they flatter it. Repeat its keys with other seeds before you trust it."
    )


def _so_far(methods: Sequence[Method]) -> str:
    """Return sentences on the results so far, if no method is complete."""
    failed = remarks.failures(methods)
    shown = [m for m in methods if m.statistics]
    if not shown:
        waiting = "; ".join(m.label for m in methods if m.alone or not m.failed)
        text = f"There is no evaluation yet of {waiting}." if waiting else ""
        return f"{text}{failed}".strip()
    best_first = sorted(shown, key=lambda m: m.statistics["worst"].estimate, reverse=True)
    more = f"; and {len(shown) - MOST} more" if len(shown) > MOST else ""
    brief = "; ".join(_brief(m) for m in best_first[:MOST])
    return f"No method is complete. So far, {brief}{more}.{failed}"


def _brief(method: Method) -> str:
    steps = min(int(run.evaluations.steps[-1]) for run in method.runs)
    seeds = plural(len(method.runs), "seed")
    return f"{returns_text(method)} after {steps:,} local steps ({seeds})"
