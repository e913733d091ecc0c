"""Training metrics: drift of the agents before each averaging, and losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from algorithms.types import Array

from ..methods import Method
from ..panels import canvas
from ..runs import RunData
from ..section import Cell, Section, Table, section
from ..series import common, mean_over
from ..studies import Study
from ..style import line, scale

X_TITLE = "local steps per agent"

LOSSES = {
    "td_loss": "Temporal-difference loss of Q",
    "degree_loss": "Expectile loss of the degree network D",
    "actor_loss": "Loss of the policy (deterministic policy gradient)",
    "policy_loss": "Loss of the policy (RLlib)",
    "value_loss": "Loss of the value function (RLlib)",
}

Series = Callable[[RunData], Array | None]
"""Returns a metric of a run over its bins, [T]."""


def drift(study: Study) -> Section | None:
    """Return a section on the distance of the agents to their mean before each averaging."""
    return _section(
        study,
        lambda run: run.training.drift,
        id="drift",
        title="Agent drift before averaging",
        y_title="distance to the mean (RMS)",
        text="Distance of the agents' parameters to their average, just before each averaging: "
        "root mean square over agents, mean over seeds. It grows with E.",
    )


def losses(study: Study) -> list[Section | None]:
    """Return a section per loss that was logged."""
    return [
        _section(
            study,
            lambda run, name=name: _over_agents(run, name),  # type: ignore[misc]
            id=name.replace("_", "-"),
            title=f"Loss: {name}",
            y_title=name,
            text=f"{text}: mean over agents and seeds.",
        )
        for name, text in LOSSES.items()
    ]


def _over_agents(run: RunData, name: str) -> Array | None:
    values_TK = run.training.agents.get(name)
    return None if values_TK is None else mean_over(values_TK, 1)


def _section(
    study: Study, series: Series, *, id: str, title: str, y_title: str, text: str
) -> Section | None:
    curves = {m.label: curve for m in study.methods if len((curve := _curve(m, series))[0])}
    methods = [m for m in study.methods if m.label in curves]
    drawing = canvas(study, methods, X_TITLE, y_title)
    for entry, shared in drawing:
        line(drawing.figure, *curves[entry.method.label], entry.name, entry.look, **shared)
    if curves:
        drawing.figure.update_yaxes(scale([values for _, values in curves.values()]))
    table = Table(columns=("method", "steps", y_title), rows=tuple(_rows(curves)))
    return section(id, title, text + drawing.note, figure=drawing.figure, table=table)


def _curve(method: Method, series: Series) -> tuple[Array, Array]:
    """Return the mean over seeds, [T], at the bins that all seeds have."""
    found = [(run.training.steps, y) for run in method.runs if (y := series(run)) is not None]
    if not found:
        return np.empty(0), np.empty(0)
    steps, values_ST = common([x for x, _ in found], [y for _, y in found])
    return steps, values_ST.mean(0)


def _rows(curves: dict[str, tuple[Array, Array]]) -> Iterator[tuple[Cell, ...]]:
    for label, (steps, values) in curves.items():
        for step, value in zip(steps, values, strict=True):
            yield label, float(step), float(value)
