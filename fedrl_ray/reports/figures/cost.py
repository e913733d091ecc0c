"""Cost of a method: time, bytes, and the share of the time that is not learning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from ..methods import Method
from ..runs import RunData
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import axis, faded, layout, plain_text

PHASES = ("communication", "aggregation", "evaluation", "checkpoint", "recovery")
"""Phases in the table besides learning."""


class Cost(NamedTuple):
    """Costs of a method, as means over its seeds."""

    seconds: float
    """Wall time of a round."""
    learning: float
    """Seconds of a round that the slowest worker spends learning."""
    bytes: float
    """Bytes sent in a round."""
    rounds: float
    failures: int
    """Sum over the seeds."""
    phases: tuple[float, ...]
    """Seconds of a round in each phase of `PHASES`; NaN if they were not logged."""

    def idle(self) -> float:
        """Return the share of a round's time that is not learning."""
        return 1 - self.learning / self.seconds if self.seconds else 0.0


def cost_of(method: Method) -> Cost | None:
    """Return the costs of a method; None if it has logged no round."""
    runs = [run for run in method.runs if run.training.rounds]
    if not runs:
        return None

    def mean(total: str) -> float:
        """Return the mean over runs of a total divided by the number of rounds."""
        return float(np.mean([getattr(r.training, total) / r.training.rounds for r in runs]))

    rounds = sum(run.training.rounds for run in runs) / len(runs)
    failures = sum(_lost(run) for run in runs)
    phases = tuple(_phase(runs, name) for name in PHASES)
    return Cost(mean("seconds"), mean("learning"), mean("bytes"), rounds, failures, phases)


def _phase(runs: Sequence[RunData], name: str) -> float:
    nan = float("nan")
    return float(np.mean([r.training.phases.get(name, nan) / r.training.rounds for r in runs]))


def _lost(run: RunData) -> int:
    return len(run.training.failures)


def cost(study: Study) -> Section | None:
    """Return a section on time and bytes per 1,000 local steps, comparable whatever E is."""
    found = [(m, c) for m in study.methods if (c := cost_of(m)) is not None]
    labels = [plain_text(m.label) for m, _ in found]
    per = [1000 / m.sync_interval for m, _ in found]
    fig = go.Figure(layout=layout(180 + (30 if len(found) <= 24 else 20) * len(found)))
    learning = [c.learning * p for (_, c), p in zip(found, per, strict=True)]
    rest = [(c.seconds - c.learning) * p for (_, c), p in zip(found, per, strict=True)]
    colours = [study.looks[m].colour for m, _ in found]
    _bar(fig, "learning", learning, labels, colours, "")
    _bar(fig, "not learning", rest, labels, [faded(c, 0.45) for c in colours], "/")
    fig.update_layout(barmode="stack", legend_traceorder="normal")
    fig.update_xaxes(axis(title_text="seconds per 1,000 local steps"))
    fig.update_yaxes(axis(autorange="reversed", ticks=""))
    text = (
        "Wall time of the rounds for 1,000 local steps of every agent. Learning is the time of the "
        "slowest worker; the rest is broadcast, averaging, waiting and logging. The table also "
        "gives the bytes: parameters sent to the workers, and partial sums sent back."
    )
    table = Table(columns=_COLUMNS, rows=tuple(_rows(found)))
    return section("cost", "Time and bytes", text, figure=fig, table=table)


def _bar(
    fig: go.Figure, name: str, x: Sequence[float], labels: Sequence[str], colours: Sequence[str],
    pattern: str,
) -> None:  # fmt: skip
    """Add the bars of one part, and a grey entry for it in the legend."""
    grey = [(None, label, "#767676", True) for label in labels[:1]]
    bars = [(*bar, False) for bar in zip(x, labels, colours, strict=True)]
    for length, label, colour, in_legend in (*grey, *bars):
        fig.add_bar(
            x=[length], y=[label], name=name, orientation="h", legendgroup=name,
            showlegend=in_legend,
            marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": "#fff"}},
        )  # fmt: skip


_COLUMNS = (
    "method",
    "rounds",
    "seconds per round",
    "learning, seconds per round",
    "share not learning",
    "bytes per round",
    "bytes per 1,000 local steps",
    "failures",
    *(f"{name}, seconds per round" for name in PHASES),
)


def _rows(found: Sequence[tuple[Method, Cost]]) -> Iterator[tuple[Cell, ...]]:
    for m, c in found:
        sent = (round(c.bytes), round(c.bytes * 1000 / m.sync_interval))
        yield (
            m.label,
            round(c.rounds),
            c.seconds,
            c.learning,
            c.idle(),
            *sent,
            c.failures,
            *c.phases,
        )
