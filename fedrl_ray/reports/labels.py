"""Labels of methods, made of the keys in which they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .keys import OMEGA, SYNC, Flat, level, round_steps
from .numbers import value_text
from .runs import RunData

BASELINES = {"fedrq": "QAvg", "fedrdqn": "DQNAvg", "fedrddpg": "DDPGAvg"}
"""Name of each learner at omega 0."""

MAX_KEYS = 4
"""Most keys in a label; methods that differ in more are labelled with the experiment's name."""


def labels_of(groups: Sequence[Sequence[RunData]], names: Mapping[str, str]) -> list[str]:
    """Return a label such as `omega 0.1, E 100` for each group of runs.

    names: the keys that differ -> their short names. If no key differs, or too many do, the label
    is the experiment's name. A trial of a population has its own name.
    """
    texts = [_label(group[0], names) for group in groups]
    counts = Counter(texts)
    unique = [
        t if counts[t] == 1 else f"{t}, {g[0].label}" for t, g in zip(texts, groups, strict=True)
    ]
    return unique


def key_values(flat: Flat, names: Mapping[str, str]) -> str:
    """Return a text such as `omega 0 (DQNAvg), E 100`, of the named keys that are present."""
    return ", ".join(_part(flat, key, name) for key, name in names.items() if key in flat)


def _label(run: RunData, names: Mapping[str, str]) -> str:
    if run.alone:
        return run.label
    present = [key for key in names if key in run.flat]
    if not present or len(present) > MAX_KEYS:
        return run.name
    return key_values(run.flat, names)


def _part(flat: Flat, key: str, name: str) -> str:
    value = _in_words(flat, key)
    text = f"{name} {value_text(value)}"
    baseline = BASELINES.get(str(flat.get("learner.name")))
    return f"{text} ({baseline})" if key == OMEGA and _is_zero(value) and baseline else text


def _in_words(flat: Flat, key: str) -> Any:
    """Return a value for people: the algorithm of RLlib, and E always in local steps."""
    if key == "learner.name" and "learner.algorithm" in flat:
        return f"{flat['learner.algorithm']} (RLlib)"
    return round_steps(flat) if key == SYNC else flat[key]


def _is_zero(value: Any) -> bool:
    return level(value) == 0.0
