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
from ..style import axis, layout, look, plain_text
from ..verdict.rule import baseline_of, difference, verdicts

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
    drawn = sorted(found, key=lambda c: c.worst.estimate, reverse=True)[:MOST]
    fig = go.Figure(layout=layout(170 + 44 * len(drawn)))
    labels = [plain_text(f"{c.method.label}\nover {study.text(c.baseline, _names(study, c))}")
              for c in drawn]  # fmt: skip
    for index, name in enumerate(("average", "worst")):
        _add(fig, name, [getattr(c, name) for c in drawn], labels, index)
    fig.add_vline(x=0, line={"color": "#666", "width": 1})
    fig.update_xaxes(axis(title_text="difference in return"))
    fig.update_yaxes(axis(autorange="reversed", ticks=""))
    fig.update_layout(scattermode="group", scattergap=0.5)
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


def _add(fig: go.Figure, name: str, found: list[Interval], labels: list[str], index: int) -> None:
    chosen = look(index)
    fig.add_scatter(
        x=[x.estimate for x in found], y=labels, name=name,
        mode="markers", orientation="h", offsetgroup=name,
        marker={"color": chosen.colour, "symbol": chosen.marker, "size": 9},
        error_x={
            "array": [x.high - x.estimate if is_known(x) else 0 for x in found],
            "arrayminus": [x.estimate - x.low if is_known(x) else 0 for x in found],
            "thickness": 1.5, "width": 5,
        },
    )  # fmt: skip


_COLUMNS = ("method", "baseline", "average", "worst", "probability of improvement")


def _rows(found: list[Comparison]) -> Iterator[tuple[Cell, ...]]:
    for c in found:
        yield c.method.label, c.baseline.label, c.average, c.worst, c.improvement
