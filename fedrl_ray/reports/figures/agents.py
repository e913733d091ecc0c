"""Training episodes of the agents: their mean, and the worst-off agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from algorithms.types import Array

from ..looks import size_note
from ..methods import Method
from ..numbers import value_text
from ..panels import Line, canvas
from ..parameters import agent_parameters, agent_sites
from ..runs import RunData
from ..section import Cell, Section, Table, section
from ..series import coarser, common, last_tenth, mean_over
from ..studies import Study
from ..style import figure, line, plain_text

RETURN = "episode_return"
X_TITLE = "local steps per agent"


class WorstOff(NamedTuple):
    """The agent whose training episodes returned least over the last tenth of the rounds."""

    agent: int
    final: float
    """Its mean return over these rounds."""
    mean: float
    """Mean return of all agents over these rounds."""


def agent_sections(study: Study) -> list[Section | None]:
    """Return sections on returns over time, and on final returns over the agents' parameter."""
    return [_over_time(study), _over_parameter(study)]


def final_returns(run: RunData) -> Array | None:
    """Return each agent's mean training return over the last tenth, [K]; None without episodes."""
    values_TK = run.training.agents.get(RETURN)
    if values_TK is None or not len(values_TK):
        return None
    means_K = mean_over(values_TK[last_tenth(len(values_TK))], 0)
    return means_K if np.isfinite(means_K).any() else None


def worst_off(run: RunData) -> WorstOff | None:
    """Return the worst-off agent of a run; None if no training episode has ended."""
    means_K = final_returns(run)
    if means_K is None:
        return None
    agent = int(np.nanargmin(means_K))
    return WorstOff(agent, float(means_K[agent]), float(np.nanmean(means_K)))


def _over_time(study: Study) -> Section | None:
    methods = [m for m in study.methods if any(worst_off(run) for run in m.runs)]
    drawing = canvas(study, methods, X_TITLE, "return of training episodes")
    for entry, shared in drawing:
        _add(drawing.figure, entry, shared)
    text = (
        "Returns of training episodes with exploration, as means over seeds. Thick lines show the "
        "mean over agents; thin lines with open markers show the worst-off agent. The worst-off "
        "agent of a run has the lowest return over the last tenth of its rounds. The table names "
        "it, with its physical parameters if they are known."
    )
    columns = ("run", "method", "seed", "mean over agents", "worst-off agent", "its return",
               "its parameters")  # fmt: skip
    rows = tuple(_rows(methods))
    table = Table(columns=columns, rows=rows)
    return section("agents", "Training episodes of the agents", text + drawing.note,
                   figure=drawing.figure, table=table)  # fmt: skip


def _add(fig: go.Figure, entry: Line, shared: dict[str, Any]) -> None:
    curves = [(run, found) for run in entry.method.runs if (found := worst_off(run))]
    steps = [coarser(run.training.steps) for run, _ in curves]
    values_TK = [coarser(run.training.agents[RETURN]) for run, _ in curves]
    means = [mean_over(values, 1) for values in values_TK]
    worst = [v[:, found.agent] for v, (_, found) in zip(values_TK, curves, strict=True)]
    line(fig, *_mean_over_seeds(steps, means), entry.name, entry.look, **shared)
    quiet = {**shared, "showlegend": False, "opacity": 0.75}
    line(fig, *_mean_over_seeds(steps, worst), f"{entry.name}, worst-off agent",
         entry.look._replace(marker=f"{entry.look.marker}-open"), group=entry.name, width=1,
         **quiet)  # fmt: skip


def _mean_over_seeds(steps: list[Array], values: list[Array]) -> tuple[Array, Array]:
    shared, values_ST = common(steps, values)
    return shared, values_ST.mean(0)


def _rows(methods: list[Method]) -> Iterator[tuple[Cell, ...]]:
    for method in methods:
        for run in method.runs:
            if (found := worst_off(run)) is not None:
                yield (run.label, method.label, run.seed, found.mean, found.agent, found.final,
                       _known_of(run, found.agent) or "unknown")  # fmt: skip


def _known_of(run: RunData, agent: int) -> str:
    """Return an agent's site and physical parameters as text, as far as they are known."""
    sites = agent_sites(run)
    physics = (
        f"{name} {value_text(float(values[agent]))}"
        for name, values in agent_parameters(run).items()
    )
    return ", ".join([*sites[agent : agent + 1], *physics])


def _over_parameter(study: Study) -> Section | None:
    """Return a figure with a point per agent and run, if one known parameter differs."""
    points = [(m, run, agent_parameters(run)) for m in study.methods for run in m.runs]
    names = {name for _, _, own in points for name in own}
    if len(names) != 1 or len(study.methods) > 7:
        return None
    name = names.pop()
    fig = figure(name, "return of training episodes")
    rows: list[tuple[Cell, ...]] = []
    for method in study.methods:
        chosen, x, y = study.looks[method], [], []
        for _, run, own in (p for p in points if p[0] is method and name in p[2]):
            finals = final_returns(run)
            for agent, value in enumerate([] if finals is None else finals):
                x.append(float(own[name][agent]))
                y.append(float(value))
                rows.append((method.label, run.seed, agent, x[-1], y[-1]))
        fig.add_scatter(
            x=x, y=y, mode="markers", name=plain_text(method.label),
            marker={
                "color": chosen.colour, "symbol": chosen.marker, "size": chosen.size,
                "opacity": 0.8,
            },
        )  # fmt: skip
    columns = ("method", "seed", "agent", name, "return")
    text = f"Mean return of each agent's training episodes over the last tenth, against {name}."
    text += size_note(study.names)
    return section("agents-by-parameter", f"Agents by {name}", text,
                   figure=fig, table=Table(columns=columns, rows=tuple(rows)))  # fmt: skip
