"""Studies: the methods of one environment, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .keys import Flat, differing, identity, level, setting, short_names
from .labels import key_values, labels_of
from .looks import looks_of
from .methods import Method, chosen, grouped
from .numbers import value_text
from .runs import RunData
from .style import Look


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """Methods of one environment."""

    title: str
    """Name of the environment."""
    methods: tuple[Method, ...]
    names: dict[str, str]
    """Keys in which its methods differ -> their short names."""

    @property
    def compared(self) -> tuple[Method, ...]:
        """Complete methods whose keys did not change during the run.

        If some methods have several seeds, a method of one seed is not compared. Its interval
        covers episodes only, so it looks too certain.
        """
        complete = [m for m in self.of_one_value if m.complete]
        most = max((len(m.runs) for m in complete), default=0)
        return tuple(m for m in complete if len(m.runs) >= min(2, most))

    @property
    def shown(self) -> tuple[Method, ...]:
        """Methods with statistics, complete or not."""
        return tuple(m for m in self.methods if m.statistics)

    @property
    def of_one_value(self) -> tuple[Method, ...]:
        """Methods with statistics, without trials of a population, whose keys change."""
        return tuple(m for m in self.shown if not m.alone)

    @cached_property
    def settings(self) -> list[tuple[Method, ...]]:
        """Methods with statistics, grouped by test environments, budget and number of agents."""
        groups: dict[str, list[Method]] = {}
        for method in self.shown:
            groups.setdefault(method.setting, []).append(method)
        return [tuple(group) for group in groups.values()]

    @cached_property
    def looks(self) -> dict[Method, Look]:
        """Look of each method, the same in every figure."""
        return looks_of(self.methods, self.names)

    def between(self, a: Method, b: Method) -> dict[str, str]:
        """Return the named keys in which two methods differ."""
        keys = differing([a.flat, b.flat])
        return {key: name for key, name in self.names.items() if key in keys}

    def text(self, method: Method, names: Mapping[str, str]) -> str:
        """Return a method's text for some keys; its label if it has none of them."""
        return key_values(method.flat, names) or method.label

    def setting_text(self, method: Method) -> str:
        """Return the keys that set a method's test apart from others; empty if all are equal."""
        keys = {k: n for k, n in self.names.items() if k in setting(method.flat)}
        return self.text(method, keys) if len(self.settings) > 1 else ""

    def numeric_keys(self) -> list[str]:
        """Return keys with several numbers, those with most values first, omega before others."""
        levels = {key: {level(m.flat.get(key)) for m in self.of_one_value} for key in self.names}
        numeric = [key for key, found in levels.items() if len(found) > 1 and None not in found]
        return sorted(numeric, key=lambda key: -len(levels[key]))


def studies_of(runs: Sequence[RunData]) -> list[Study]:
    """Group runs by environment, then by method."""
    by_environment: dict[str, list[RunData]] = {}
    for run in runs:
        by_environment.setdefault(title_of(run.flat), []).append(run)
    return [_study(title, found) for title, found in by_environment.items()]


def title_of(flat: Flat) -> str:
    """Return the name of an experiment's environment."""
    source = flat.get("environment.id") or flat.get("environment.factory")
    return f"{flat['environment.name']}{f' {source}' if source else ''}"


def _study(title: str, runs: Sequence[RunData]) -> Study:
    groups = grouped(runs)
    flats = [identity(group[0].flat) for group in groups]
    names = short_names(differing(flats))
    shared = {key: name for key, name in names.items() if all(key in flat for flat in flats)}
    methods = [
        _method(label, group)
        for label, group in zip(labels_of(groups, shared), groups, strict=True)
    ]
    order = sorted(methods, key=lambda m: _order(m, list(shared)))
    return Study(title=title, methods=tuple(order), names=shared)


def _method(label: str, group: Sequence[RunData]) -> Method:
    runs = chosen(group)
    return Method(
        label=label,
        flat=identity(group[0].flat),
        runs=tuple(runs),
        left_out=tuple(run for run in group if run not in runs),
    )


def _order(method: Method, keys: Sequence[str]) -> list[tuple[bool, float, str]]:
    """Return a sort key: numbers by size, texts by letter, trials of a population by name."""
    if method.alone:
        return [(True, 0.0, method.label)]
    values = [method.flat[key] for key in keys]
    return [(level(v) is None, level(v) or 0.0, value_text(v)) for v in values]
