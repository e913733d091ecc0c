"""Learning curves of `learning.py`: means over seeds, bands from the worst to the best seed."""

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
    """Draw one panel per statistic of a task, and write the picture."""
    names = list(dict.fromkeys(s for m in result["methods"].values() for s in m))
    fig, axes = plt.subplots(1, len(names), figsize=(4.6 * len(names), 3.6), sharey=True)
    for axis, statistic in zip(np.atleast_1d(axes), names, strict=True):
        for index, (method, data) in enumerate(result["methods"].items()):
            if statistic in data:
                _curve(axis, data[statistic], method, index)
        axis.set_title(f"{name}: {statistic}")
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
