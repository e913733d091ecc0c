"""The verdict at a glance: what is recommended, what it returns, and what it gains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...analysis.statistics import Interval
from ..keys import OMEGA, SYNC
from ..labels import key_values
from ..methods import Method
from ..numbers import interval_text, plural, value_text
from ..studies import Study
from .rule import Verdict, baseline_of, difference, is_gain, is_loss, verdicts
from .words import WHERE, no_gain

NAMES = {"average": "Average return", "worst": "Worst return"}
MEANINGS = {"average": "mean over the test grid", "worst": "worst environment of the test grid"}


@dataclass(frozen=True, kw_only=True)
class Card:
    """One statement of a verdict; all texts are plain."""

    name: str
    value: str
    more: str = ""
    """The rest of the value: its interval, or E."""
    note: str


@dataclass(frozen=True, kw_only=True)
class CardGroup:
    """The cards of one setting of one study; the title is empty if there is only one."""

    title: str
    cards: tuple[Card, ...]


def card_groups(studies: tuple[Study, ...]) -> list[CardGroup]:
    """Return the cards of every setting in which the rule had a choice."""
    alone = len(studies) == 1
    return [
        CardGroup(title=_title(study, verdict, alone=alone), cards=tuple(_cards(study, verdict)))
        for study in studies
        for verdict in verdicts(study)
        if len(verdict.methods) > 1
    ]


def _title(study: Study, verdict: Verdict, *, alone: bool) -> str:
    parts = ("" if alone else study.title, study.setting_text(verdict.recommended))
    return ", ".join(part for part in parts if part)


def _cards(study: Study, verdict: Verdict) -> Iterator[Card]:
    one = verdict.recommended
    baseline = baseline_of(one, verdict.methods)
    yield _recommended(study, one)
    for statistic, name in NAMES.items():
        estimate, interval = _parts(one.statistics[statistic])
        yield Card(name=name, value=estimate, more=interval, note=MEANINGS[statistic])
    if baseline is None:
        yield Card(name="Gain over the baseline", value="none", note=no_gain(verdict))
        return
    over = study.text(baseline, study.between(one, baseline))
    for statistic, where in WHERE.items():
        gain = difference(one, baseline, statistic)
        estimate, interval = _parts(gain)
        sign = "+" if gain.estimate > 0 else ""
        note = f"over {over}: {_clarity(gain)}"
        yield Card(name=f"Gain {where}", value=sign + estimate, more=interval, note=note)


def _recommended(study: Study, method: Method) -> Card:
    """Return omega and E (E alone for a learner without omega), other keys, and the seeds."""
    found = [f"omega {value_text(method.omega)}"] if OMEGA in method.flat else []
    value, *more = [*found, f"E {method.sync_interval}"]
    others = {key: name for key, name in study.names.items() if key not in (OMEGA, SYNC)}
    notes = [key_values(method.flat, others), plural(len(method.runs), "seed")]
    note = "; ".join(part for part in notes if part)
    return Card(name="Recommended", value=value, more=" ".join(more), note=note)


def _parts(found: Interval) -> tuple[str, str]:
    """Return the estimate, and its interval in brackets."""
    estimate, _, interval = interval_text(found).partition(" ")
    return estimate, interval or "no interval"


def _clarity(gain: Interval) -> str:
    if is_gain(gain):
        return "a clear gain"
    return "a clear loss" if is_loss(gain) else "not clear"
