"""What a run went on without: agents that were lost, in which rounds, and their steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .data import ReportData
from .keys import round_steps
from .numbers import number, plural
from .runs import RunData
from .section import Section, Table

MOST = 6
"""Losses told in words; the table has all."""


def lost(data: ReportData) -> Section | None:
    """Rounds that were averaged without some agents (`federation.on_failure: continue`); None
    where every round had all of them."""
    rows = [row for run in data.runs for row in _rows(run)]
    if not rows:
        return None
    told = [
        f"{name}: {agents}, {rounds}: {plural(steps, 'agent step')} missing ({share}%)."
        for name, agents, rounds, steps, share in rows[:MOST]
    ]
    more = [f"{len(rows) - MOST} more in the table."] if len(rows) > MOST else []
    text = (
        "Rounds went on without agents that were lost, as federation.on_failure: continue allows. "
        "Their steps are missing, and what they learnt after their last checkpoint."
    )
    columns = ("run", "agents", "rounds", "agent steps missing", "share of the run, %")
    table = Table(columns=columns, rows=tuple(rows))
    return Section(id="lost", title="Lost", text="\n".join([text, *told, *more]), table=table)


def _rows(run: RunData) -> Iterable[tuple[str, str, str, int, str]]:
    """A row for each set of agents that were lost together."""
    together: dict[tuple[int, ...], list[int]] = {}
    for round_number, agents in run.training.absent:
        together.setdefault(agents, []).append(round_number)
    federation = run.config["federation"]
    for agents, rounds in together.items():
        missing = len(agents) * len(rounds)
        share = 100 * missing / (federation["num_agents"] * run.training.rounds)
        steps = missing * round_steps(run.flat)
        yield run.label, _named("agent", agents), _named("round", rounds), steps, number(share)


def _named(noun: str, numbers: Sequence[int]) -> str:
    """`agent 2`, `rounds 6-8, 12`."""
    spans: list[list[int]] = []
    for n in numbers:
        if spans and n == spans[-1][-1] + 1:
            spans[-1][1:] = [n]
        else:
            spans.append([n])
    text = ", ".join("-".join(map(str, span)) for span in spans)
    return f"{noun}{'' if len(numbers) == 1 else 's'} {text}"
