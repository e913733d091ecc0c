"""Population based training: the searched keys of each trial over its steps."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..keys import level, short_names
from ..panels import canvas
from ..runs import RunData
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import line


def lineages(study: Study) -> list[Section | None]:
    """Return a section per searched key that is a number."""
    runs = [run for method in study.methods for run in method.runs if run.lineage]
    keys = dict.fromkeys(key for run in runs for row in run.lineage for key in row.get("point", ()))
    return [_section(study, key, name) for key, name in short_names(keys).items()]


def values_over_steps(run: RunData, key: str) -> tuple[list[int], list[float]]:
    """Return the steps at which a key changed, and its values; the last holds to the end."""
    steps, values = [0], [_at_first(run, key)]
    for row in run.lineage:
        steps.append(int(row["steps"]))
        values.append(_number(row.get("point", {}).get(key)))
    end = int(run.training.steps[-1]) if len(run.training.steps) else steps[-1]
    return [*steps, end], [*values, values[-1]]


def _at_first(run: RunData, key: str) -> float:
    """Return a trial's value before its first exchange; its config.yaml holds the last."""
    before = run.lineage[0].get("before", {}) if run.lineage else run.flat
    return _number(before.get(key))


def _number(value: object) -> float:
    found = level(value)
    return math.nan if found is None else found


def _section(study: Study, key: str, name: str) -> Section | None:
    methods = [m for m in study.methods if m.alone]
    drawing = canvas(study, methods, "local steps per agent", name)
    for entry, shared in drawing:
        x, y = values_over_steps(entry.method.runs[0], key)
        line(drawing.figure, x, y, entry.name, entry.look, shape="hv", **shared)
    text = (
        f"{name} of each trial over its steps. At a jump the trial took over the state of another "
        "trial and went on with a changed key. Its results therefore belong to no single value."
    )
    table = Table(columns=("trial", "steps", "from", name), rows=tuple(_rows(study, key)))
    return section(f"lineage-{name.replace('.', '-')}", f"{name} over time", text,
                   figure=drawing.figure, table=table)  # fmt: skip


def _rows(study: Study, key: str) -> Iterator[tuple[Cell, ...]]:
    for run in (run for method in study.methods if method.alone for run in method.runs):
        yield run.label, 0, "", _at_first(run, key)
        for row in run.lineage:
            taken = _number(row.get("point", {}).get(key))
            yield run.label, int(row["steps"]), str(row.get("from", "")), taken
