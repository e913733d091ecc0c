"""Differences between each method and its baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import plotly.graph_objects as go

from ...analysis import statistics
from ...analysis.statistics import Interval
from ..methods import Method
from ..numbers import is_known
from ..section import Cell, Section, Table, section
from ..studies import Study
from ..style import Look, axis, figure, plain_text
from ..verdict.rule import baseline_of, difference, verdicts

DRAWN = ("average", "worst")
"""Statistics of the return, a panel for each."""
MOST = 20
"""Most methods in the figure; the table has all."""


class Comparison(NamedTuple):
    """A method compared with its baseline."""

    method: Method
    baseline: Method
    average: Interval
    """Average return of the method minus that of the baseline."""
    worst: Interval
    """Worst return of the method minus that of the baseline."""
    improvement: Interval
    """Probability that a seed of the method beats one of the baseline, mean over environments."""


def differences(study: Study) -> list[Section | None]:
    """Return one section for all settings."""
    found = comparisons(study)
    if not found:
        return []
    hidden = len(found) > MOST
    best = sorted(found, key=lambda c: c.worst.estimate, reverse=True)[:MOST]
    drawn = [c for c in found if c in best]
    fig = figure("difference in return", "", DRAWN)
    labels = [plain_text(f"{c.method.label}\nover {study.text(c.baseline, _names(study, c))}")
              for c in drawn]  # fmt: skip
    for row, name in enumerate(DRAWN, start=1):
        for c, label in zip(drawn, labels, strict=True):
            _add(fig, getattr(c, name), label, study.looks[c.method], row)
    fig.add_vline(x=0, line={"color": "#666", "width": 1})
    fig.update_yaxes(axis(autorange="reversed", ticks=""))
    fig.update_layout(height=150 + 2 * (40 + 44 * len(drawn)), showlegend=False)
    text = (
        "Final return of each method minus that of its baseline, with 95% intervals. The baseline "
        "is the smallest omega, with other keys equal if there is such a method. A difference is "
        "clear if its bar does not touch 0. The table also gives the probability that a seed of "
        "the method beats one of the baseline."
        + (f" The figure shows the {MOST} best in the worst environment." if hidden else "")
    )
    table = Table(columns=_COLUMNS, rows=tuple(_rows(found)))
    return [section("differences", "Difference from the baseline", text, figure=fig, table=table)]


def comparisons(study: Study) -> list[Comparison]:
    """Return a comparison for every compared method that has a baseline."""
    pairs = [(m, baseline_of(m, v.methods)) for v in verdicts(study) for m in v.methods]
    return [_compare(a, b) for a, b in pairs if b is not None]


def _compare(a: Method, b: Method) -> Comparison:
    assert a.returns is not None and b.returns is not None
    same = a.returns.shape[1] == b.returns.shape[1]
    unknown = Interval(float("nan"), float("nan"), float("nan"))
    return Comparison(
        a,
        b,
        difference(a, b, "average"),
        difference(a, b, "worst"),
        statistics.probability_of_improvement(a.returns.mean(2), b.returns.mean(2))
        if same
        else unknown,
    )


def _names(study: Study, c: Comparison) -> dict[str, str]:
    return study.between(c.method, c.baseline)


def _add(fig: go.Figure, found: Interval, label: str, chosen: Look, row: int) -> None:
    known = is_known(found)
    fig.add_scatter(
        x=[found.estimate], y=[label], name=label, mode="markers", orientation="h",
        marker={"color": chosen.colour, "symbol": chosen.marker, "size": 9},
        error_x={
            "array": [found.high - found.estimate if known else 0],
            "arrayminus": [found.estimate - found.low if known else 0],
            "thickness": 1.5, "width": 5, "color": chosen.colour,
        },
        row=row, col=1,
    )  # fmt: skip


_COLUMNS = ("method", "baseline", "average", "worst", "probability of improvement")


def _rows(found: list[Comparison]) -> Iterator[tuple[Cell, ...]]:
    for c in found:
        yield c.method.label, c.baseline.label, c.average, c.worst, c.improvement
