"""Curves of a learning benchmark: mean over seeds, band from the worst to the best seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

COLOURS = ("#0072B2", "#D55E00", "#009E73")
STYLES = ("-", "--", ":")


def draw(name: str, result: dict[str, Any], path: Path) -> None:
    """One panel per figure of the task."""
    figures = list(dict.fromkeys(f for m in result["methods"].values() for f in m))
    fig, axes = plt.subplots(1, len(figures), figsize=(4.6 * len(figures), 3.6), sharey=True)
    for axis, figure in zip(np.atleast_1d(axes), figures, strict=True):
        for index, (method, data) in enumerate(result["methods"].items()):
            if figure in data:
                _curve(axis, data[figure], method, index)
        axis.set_title(f"{name}: {figure}")
        axis.set_xlabel("local steps per agent")
        axis.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("return")
    np.atleast_1d(axes)[-1].legend(loc="lower right", fontsize=8)
    fig.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=110)
    plt.close(fig)


def _curve(axis: Any, data: dict[str, Any], label: str, index: int) -> None:
    curves, colour = np.array(data["curves"]), COLOURS[index % len(COLOURS)]
    axis.fill_between(data["steps"], curves.min(0), curves.max(0), color=colour, alpha=0.15, lw=0)
    axis.plot(data["steps"], curves.mean(0), STYLES[index % 3], color=colour, label=label)
