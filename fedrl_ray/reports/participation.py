"""Participation: the rounds that each agent took part in, if not all agents always did."""

from __future__ import annotations

import plotly.graph_objects as go

from .data import ReportData
from .keys import round_steps
from .numbers import number
from .runs import RunData
from .section import Section, Table
from .style import axis, layout, plain_text

PATTERNS = ("", "/", ".", "x", "-", "|")
"""Fillings of the bars of each run, whose colours may be equal."""
MOST_BARS = len(PATTERNS)
"""Runs in the figure; the table lists all."""
_COLUMNS = (
    "run",
    "client sampler",
    "agents",
    "participants per round (mean)",
    "rounds of the least asked agent",
    "rounds of the most asked agent",
    "local steps of an agent (mean)",
)


def participation(data: ReportData) -> Section | None:
    """Return a section on who took part; None if every agent took part in every round."""
    partial = [run for run in data.runs if _is_partial(run)]
    if not partial:
        return None
    text = (
        "Share of the rounds in which each agent took part. A client sampler chooses the agents "
        "of a round (client_sampler); an agent that is not chosen does not step. Lost agents "
        "(federation.on_failure: continue) take no part either."
    )
    looks = {r.path: s.looks[m] for s in data.studies for m in s.methods
             for r in (*m.runs, *m.left_out)}  # fmt: skip
    fig = go.Figure(layout=layout(320))
    for index, run in enumerate(partial[:MOST_BARS]):
        shares = [rounds / run.training.rounds for rounds in run.training.rounds_of]
        fig.add_bar(
            x=list(range(len(shares))), y=shares, name=plain_text(run.label),
            marker={
                "color": looks[run.path].colour,
                "pattern": {"shape": PATTERNS[index], "fgcolor": "#fff"},
            },
        )  # fmt: skip
    fig.update_layout(barmode="group")
    fig.update_xaxes(axis(title_text="agent"))
    fig.update_yaxes(axis(title_text="share of the rounds", range=[0, 1.02]))
    table = Table(columns=_COLUMNS, rows=tuple(_row(run) for run in partial))
    return Section(id="participation", title="Who took part", text=text, figure=fig, table=table)


def _is_partial(run: RunData) -> bool:
    return any(rounds < run.training.rounds for rounds in run.training.rounds_of)


def _row(run: RunData) -> tuple[str | int, ...]:
    rounds = run.training.rounds_of
    sampler = str(run.flat.get("client_sampler.name", "all"))
    mean = sum(rounds) / len(rounds)
    return (
        run.label,
        sampler,
        len(rounds),
        number(sum(rounds) / run.training.rounds),
        min(rounds),
        max(rounds),
        number(mean * round_steps(run.flat)),
    )
