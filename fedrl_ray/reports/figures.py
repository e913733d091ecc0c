"""The figures of a report, each from runs as read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from .axis import grid_axis
from .data import RunData

# Okabe and Ito: distinct with no colour vision too, together with the dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")


Section = tuple[str, str, go.Figure]
"""Title, what it shows, figure."""


def all_figures(runs: Sequence[RunData]) -> list[Section]:
    """Title, what it shows, figure; only those that have something to show."""
    sections = [evaluation_curves(runs), *return_over_grids(runs)]
    sections += [builder(runs) for builder in (training_returns, losses, drift)]
    return [section for section in sections if section is not None]


def evaluation_curves(runs: Sequence[RunData]) -> Section | None:
    """Average and worst return over the test environments against local steps."""
    figure = _figure("local steps per agent", "return")
    for index, run in enumerate(runs):
        for name, dash in (("average", "solid"), ("worst", "dash")):
            steps, values = run.over_evaluations(name)
            if len(steps):
                figure.add_scatter(
                    x=steps, y=values, name=f"{run.label}, {name}", mode="lines+markers",
                    line={"color": _pick(COLOURS, index), "dash": dash},
                    marker={"symbol": _pick(MARKERS, index), "size": 5},
                )  # fmt: skip
    text = "Return of the global policy: mean (average) and minimum (worst) over the test grid."
    return _unless_empty("Learning curve", text, figure)


def return_over_grids(runs: Sequence[RunData]) -> list[Section | None]:
    """Return in each test environment of the last evaluation: a figure per kind of test grid."""
    by_axis: dict[str, list[tuple[int, RunData]]] = {}
    for index, run in enumerate(runs):
        if run.evaluations:
            label = grid_axis(run.evaluations[-1]["dynamics"])[1]
            by_axis.setdefault(label, []).append((index, run))
    return [_return_over_grid(label, chosen) for label, chosen in by_axis.items()]


def _return_over_grid(label: str, runs: Sequence[tuple[int, RunData]]) -> Section | None:
    """Bars are one standard error over episodes."""
    figure = _figure(label, "return")
    for index, run in runs:
        last = run.evaluations[-1]
        x = grid_axis(last["dynamics"])[0]
        episodes = np.array(last["episode_returns"], dtype=np.float64)
        error = episodes.std(1, ddof=1) / np.sqrt(episodes.shape[1]) if episodes.shape[1] > 1 else 0
        figure.add_scatter(
            x=x, y=last["returns"], name=run.label, mode="lines+markers",
            line={"color": _pick(COLOURS, index), "dash": _pick(DASHES, index)},
            marker={"symbol": _pick(MARKERS, index), "size": 8},
            error_y={"array": error + np.zeros(len(x)), "thickness": 1},
        )  # fmt: skip
    text = "Last evaluation, environment by environment; bars are one standard error over episodes."
    return _unless_empty("Return over the test grid", text, figure)


def training_returns(runs: Sequence[RunData]) -> Section | None:
    """Mean over agents of the returns of training episodes, and the worst-off agent's."""
    figure = _figure("local steps per agent", "return of training episodes")
    for index, run in enumerate(runs):
        steps, values_TK = run.over_agents("episode_return")
        seen = ~np.isnan(values_TK).all(1)
        if not seen.any():
            continue
        for name, reduce, dash in (
            ("mean", np.nanmean, "solid"),
            ("worst agent", np.nanmin, "dot"),
        ):
            figure.add_scatter(
                x=steps[seen], y=reduce(values_TK[seen], axis=1), name=f"{run.label}, {name}",
                mode="lines", line={"color": _pick(COLOURS, index), "dash": dash, "width": 1.5},
            )  # fmt: skip
    text = "Episodes that ended in a round, exploration included: mean over agents and worst agent."
    return _unless_empty("Training episodes of the agents", text, figure)


def losses(runs: Sequence[RunData]) -> Section | None:
    """TD loss and degree loss, means over agents, on a logarithmic axis."""
    figure = _figure("local steps per agent", "loss, mean over agents")
    figure.update_yaxes(type="log")
    for index, run in enumerate(runs):
        for name, dash in (("td_loss", "solid"), ("degree_loss", "dash")):
            steps, values_TK = run.over_agents(name)
            seen = ~np.isnan(values_TK).all(1)
            if seen.any():
                figure.add_scatter(
                    x=steps[seen], y=np.nanmean(values_TK[seen], axis=1),
                    name=f"{run.label}, {name}", mode="lines",
                    line={"color": _pick(COLOURS, index), "dash": dash, "width": 1.5},
                )  # fmt: skip
    text = "Temporal-difference loss of Q and expectile loss of the degree network D."
    return _unless_empty("Losses", text, figure)


def drift(runs: Sequence[RunData]) -> Section | None:
    """How far the agents are from their mean just before each averaging."""
    figure = _figure("local steps per agent", "distance of agents to their mean (RMS)")
    for index, run in enumerate(runs):
        steps, values = run.over_rounds("drift")
        if len(steps):
            figure.add_scatter(
                x=steps, y=values, name=run.label, mode="lines",
                line={"color": _pick(COLOURS, index), "dash": _pick(DASHES, index), "width": 1.5},
            )  # fmt: skip
    text = "Root mean square over agents of the distance of their parameters to the average."
    return _unless_empty("Agent drift before averaging", text, figure)


def _figure(x_title: str, y_title: str) -> go.Figure:
    return go.Figure(
        layout={
            "template": "plotly_white",
            "height": 420,
            "margin": {"l": 60, "r": 20, "t": 20, "b": 60},
            "xaxis": {"title": x_title},
            "yaxis": {"title": y_title},
            "legend": {"orientation": "h", "y": -0.25},
        }
    )


def _unless_empty(title: str, text: str, figure: go.Figure) -> Section | None:
    return (title, text, figure) if figure.data else None


def _pick(options: Sequence[str], index: int) -> str:
    return options[index % len(options)]
