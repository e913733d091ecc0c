"""Sections without a figure: missing runs, all runs, configurations, execution profiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from .data import ReportData
from .keys import differing, identity
from .logs import LOGGED
from .methods import Method
from .numbers import plural, value_text
from .runs import RunData
from .section import Cell, Section, Table
from .sources import SKIPPED, SweepInfo


def missing(data: ReportData) -> Section:
    """Return a section that names every run that is not complete, with its keys and a reason."""
    read = {run.label for run in data.runs}
    unread = [p for p in data.problems if p.run not in read and p.status != SKIPPED]
    total = len(data.runs) + len(unread)
    complete = sum(run.complete for run in data.runs)
    text = f"Complete: {complete} of {plural(total, 'run')}."
    if not data.problems:
        return Section(id="missing", title="Missing runs", text=f"{text} No run is missing.")
    rows = tuple(
        (p.run, p.status, ", ".join(f"{k} {value_text(v)}" for k, v in p.point.items()), p.reason)
        for p in data.problems
    )
    return Section(
        id="missing",
        title="Missing, failed and unfinished runs",
        text=f"{text} The table names the others; they are not compared.",
        table=Table(columns=("run", "status", "keys", "reason"), rows=rows),
    )


def all_runs(data: ReportData) -> Section:
    """Return a section with a row per run and its digests."""
    columns = ("run", "environment", "method", "seed", "status", "local steps", "average",
               "worst", "nominal", "failures", "digest", "state digest")  # fmt: skip
    rows = tuple(
        _run_row(run, study.title, method)
        for study in data.studies
        for method in study.methods
        for run in (*method.runs, *method.left_out)
    )
    text = (
        "Returns are means over the last tenth of a run's evaluations. Equal digests mean bitwise "
        "equal global parameters. Equal state digests mean bitwise equal states of all agents."
    )
    return Section(id="runs", title="Runs", text=text, table=Table(columns=columns, rows=rows))


def _run_row(run: RunData, environment: str, method: Method) -> tuple[Cell, ...]:
    returns = (run.evaluations.final(name) for name in LOGGED)
    digests = (str(run.summary.get(name, "")) for name in ("digest", "state_digest"))
    steps = int(run.training.steps[-1]) if len(run.training.steps) else 0
    return (run.label, environment, method.label, run.seed, run.status, steps, *returns,
            len(run.training.failures), *digests)  # fmt: skip


def configurations(data: ReportData) -> Section:
    """Return a section with the keys that all experiments share, and a table of the others."""
    methods = [method for study in data.studies for method in study.methods]
    flats = [identity(method.flat) for method in methods]
    keys = differing(flats) if flats else []
    common = {k: v for k, v in (flats[0] if flats else {}).items() if k not in keys}
    text = "The table lists the keys that differ between methods. All other keys follow below it."
    rows = tuple(
        (method.label, *(value_text(f[k]) if k in f else "" for k in keys))
        for method, f in zip(methods, flats, strict=True)
    )
    return Section(
        id="configurations",
        title="Configurations",
        text=text if keys else "All runs have the same keys, except for the seed.",
        table=Table(columns=("method", *keys), rows=rows) if keys else None,
        source=_yaml(common) + "".join(_sweep(sweep) for sweep in data.sweeps),
    )


def _sweep(sweep: SweepInfo) -> str:
    return f"\n# sweep {sweep.path.resolve().name}\n" + _yaml({"sweep": sweep.config})


def made_with(data: ReportData) -> Section:
    """Return a section with each execution profile, its runs, and exemptions from laws."""
    made: dict[str, list[str]] = {}
    for run in data.runs:
        made.setdefault(_yaml(run.profile or {"profile": "unknown"}), []).append(run.label)
    parts = [f"# {_few(labels)}\n{text}" for text, labels in made.items()]
    return Section(
        id="made-with",
        title="Made with",
        text="A run is bitwise repeatable under the same profile: processor, threads and versions.",
        source="\n".join([*parts, *_exemptions(data.runs)]),
    )


def _exemptions(runs: Iterable[RunData]) -> Iterator[str]:
    """Yield laws of docs/reproducibility.md that a plug-in exempts itself from, with the reason."""
    laws: dict[str, list[str]] = {}
    for run in runs:
        exemptions: Any = run.summary.get("exemptions") or {}
        for law, reason in exemptions.items():
            laws.setdefault(f"{law}: {reason}", []).append(run.label)
    for law, labels in laws.items():
        yield f"# {law} ({_few(labels)})"


def _few(labels: list[str]) -> str:
    more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return ", ".join(labels[:3]) + more


def _yaml(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
