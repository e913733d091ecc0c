"""Drawing of the tabular figure from its numbers; see `tabular_figure`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

# Palette of Okabe and Ito, which every kind of colour vision can tell apart.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
FLOOR = 1e-13  # rounding error; keeps exact zeros on a logarithmic axis
DISTANCE = r"$\|\bar Q - Q^*\|_\infty$"


def draw(data: dict[str, Any], path: Path) -> None:
    """Draw six panels into one PNG."""
    plt.rcParams.update({"font.size": 10, "axes.grid": True, "grid.alpha": 0.25})
    figure, axes = plt.subplots(2, 3, figsize=(15, 8.4), layout="constrained")
    exact(axes[0, 0], data["exact"])
    sampled(axes[0, 1], data["sampled"])
    schedules(axes[0, 2], data["schedules"])
    broken(axes[1, 0], data["assumption_1_broken"])
    windy_robust(axes[1, 1], data["windy_cliff"])
    windy_winds(axes[1, 2], data["windy_cliff"])
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def exact(axis: Axes, curves: list[dict[str, Any]]) -> None:
    """Draw a line per E (its colour) and step size (its style)."""
    colours, styles = {1: BLUE, 10: ORANGE, 100: GREEN}, {"constant": "--", "decaying": "-"}
    for c in curves:
        label = f"E = {c['interval']}, {c['step_size']}"
        style = {"color": colours[c["interval"]], "ls": styles[c["step_size"]]}
        _line(axis, c, label=label, **style)
    _decorate(axis, "A  Exact FedRQ: averaging every E steps", DISTANCE)
    axis.legend(fontsize=8.5, loc="lower left")


def sampled(axis: Axes, runs: dict[str, Any]) -> None:
    """Draw a line per seed."""
    for name, label, colour in (("fedrq", "FedRQ", BLUE), ("qavg", "QAvg (omega 0)", ORANGE)):
        for index, c in enumerate(runs[name]):
            text = f"{label}, {len(runs[name])} seeds" if index == 0 else None
            _line(axis, c, label=text, color=colour, alpha=0.8)
    gap, target = runs["qavg_fixed_point"], runs["target"]
    axis.axhline(gap, color=ORANGE, ls=":", label=f"QAvg's fixed point: {gap:.2f}")
    axis.axhline(target, color=GREY, ls="--", label=f"5% of max |Q*|: {target:.2f}")
    _decorate(axis, "B  Sampled, E = 100", DISTANCE)
    axis.legend(fontsize=8.5, loc="lower left")


def schedules(axis: Axes, curves: dict[str, Any]) -> None:
    """Draw means over seeds: solid to Q*, dotted to the visit-weighted fixed point."""
    for (name, c), colour in zip(curves.items(), (BLUE, ORANGE, GREEN), strict=True):
        _line(axis, _mean(c["to_optimum"]), label=f"{name}: to Q*", color=colour)
        if c["gap"] > 0:
            label = f"{name}: to visit-weighted"
            _line(axis, _mean(c["to_own"]), label=label, color=colour, ls=":")
    _decorate(axis, "C  Sampled, two agents with unlike visits", "distance, mean of seeds")
    axis.set_ylim(top=20)  # room for the legend above the curves
    axis.legend(fontsize=8.5, loc="upper right")


def broken(axis: Axes, c: dict[str, Any]) -> None:
    """Draw the gap that stays because agents know their own neighbours only."""
    _line(axis, c["to_optimum"], label="to Q* (union of neighbours)", color=ORANGE)
    _line(axis, c["to_own"], label="to the mean of the agents' minima", color=BLUE)
    axis.axhline(c["gap"], color=GREY, ls="--", label=f"gap between the two: {c['gap']:.3f}")
    _decorate(axis, "D  Exact FedRQ, E = 1, Assumption 1 broken", "distance")
    axis.legend(fontsize=8.5, loc="lower left")


def windy_robust(axis: Axes, rows: list[dict[str, float]]) -> None:
    """Draw what the baseline loses against an adversary that it did not plan for."""
    omega = [row["omega"] for row in rows]
    axis.plot(omega, [row["robust"] for row in rows], "o-", color=BLUE, label="FedRQ")
    axis.plot(omega, [row["robust_qavg"] for row in rows], "s--", color=ORANGE, label="QAvg")
    axis.set_title("E  WindyCliff: worst kernel of the covering set", loc="left")
    axis.set(xlabel="omega", ylabel="discounted value from the start")
    axis.legend(fontsize=8.5)


def windy_winds(axis: Axes, rows: list[dict[str, float]]) -> None:
    """Draw average and worst over real winds, which the covering set only bounds."""
    omega = [row["omega"] for row in rows]
    axis.plot(omega, [row["average"] for row in rows], "o-", color=GREEN, label="average")
    axis.plot(omega, [row["worst"] for row in rows], "s--", color=PURPLE, label="worst")
    axis.set_title("F  WindyCliff: FedRQ's policy over winds 0 to 1", loc="left")
    axis.set(xlabel="omega (0: QAvg)", ylabel="discounted value from the start")
    axis.legend(fontsize=8.5)


def _line(axis: Axes, c: dict[str, Any], **style: Any) -> None:
    axis.plot(c["steps"], np.maximum(c["distance"], FLOOR), lw=1.6, **style)


def _mean(curves: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "steps": curves[0]["steps"],
        "distance": np.mean([c["distance"] for c in curves], axis=0),
    }


def _decorate(axis: Axes, title: str, y: str) -> None:
    axis.set_title(title, loc="left")
    axis.set(xscale="log", yscale="log", xlabel="local steps", ylabel=y)
