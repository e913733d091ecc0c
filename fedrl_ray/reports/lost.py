"""Lost agents: the rounds that were averaged without them, and their missing steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .data import ReportData
from .keys import round_steps
from .numbers import number, plural
from .runs import RunData
from .section import Section, Table

MOST = 6
"""Losses told in sentences; the table lists all."""


def lost(data: ReportData) -> Section | None:
    """Return a section on rounds that were averaged without some agents; None if there are none.

    This happens under `federation.on_failure: continue` only.
    """
    rows = [row for run in data.runs for row in _rows(run)]
    if not rows:
        return None
    told = [
        f"{name}: {agents} missed {rounds}: {plural(steps, 'agent step')}, {share}% of the run."
        for name, agents, rounds, steps, share in rows[:MOST]
    ]
    more = [f"The table lists {len(rows) - MOST} more."] if len(rows) > MOST else []
    text = (
        "Some rounds were averaged without agents that were lost (federation.on_failure: "
        "continue). The steps of these agents are missing, and so is everything that they learnt "
        "after their last checkpoint."
    )
    columns = ("run", "agents", "rounds", "agent steps missing", "share of the run (%)")
    table = Table(columns=columns, rows=tuple(rows))
    return Section(
        id="lost", title="Lost agents", text="\n".join([text, *told, *more]), table=table
    )


def _rows(run: RunData) -> Iterable[tuple[str, str, str, int, str]]:
    """Yield a row for each set of agents that were lost together."""
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
    """Return a text such as `agent 2` or `rounds 6-8, 12`."""
    spans: list[list[int]] = []
    for n in numbers:
        if spans and n == spans[-1][-1] + 1:
            spans[-1][1:] = [n]
        else:
            spans.append([n])
    text = ", ".join("-".join(map(str, span)) for span in spans)
    return f"{noun}{'' if len(numbers) == 1 else 's'} {text}"
