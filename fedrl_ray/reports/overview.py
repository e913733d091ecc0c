"""Sections without a figure: what is missing, all runs, configurations, what made them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from .data import ReportData
from .keys import differing, identity
from .methods import Method
from .numbers import plural, value_text
from .runs import RunData
from .section import Cell, Section, Table
from .sources import PASSED_OVER, SweepInfo


def missing(data: ReportData) -> Section:
    """Everything that is not a complete run, by name, with its keys and the reason."""
    read = {run.label for run in data.runs}
    unread = [p for p in data.problems if p.run not in read and p.status != PASSED_OVER]
    total = len(data.runs) + len(unread)
    complete = sum(run.complete for run in data.runs)
    text = f"{complete} of {plural(total, 'run')} complete."
    if not data.problems:
        return Section(id="missing", title="Missing runs", text=f"{text} Nothing is missing.")
    rows = tuple(
        (p.run, p.status, ", ".join(f"{k} {value_text(v)}" for k, v in p.point.items()), p.reason)
        for p in data.problems
    )
    return Section(
        id="missing",
        title="Missing, failed and unfinished runs",
        text=f"{text} The others are named here; they enter no comparison.",
        table=Table(columns=("run", "status", "keys", "reason"), rows=rows),
    )


def all_runs(data: ReportData) -> Section:
    """A row per run, with its digests."""
    columns = ("run", "environment", "method", "seed", "status", "local steps", "average",
               "worst", "nominal", "actors lost", "digest", "state digest")  # fmt: skip
    rows = tuple(
        _run_row(run, study.title, method)
        for study in data.studies
        for method in study.methods
        for run in (*method.runs, *method.left_out)
    )
    text = (
        "Returns are means over the last tenth of a run's evaluations. Equal digests are equal "
        "bits: of the global parameters, and of all agents' states."
    )
    return Section(id="runs", title="Runs", text=text, table=Table(columns=columns, rows=rows))


def _run_row(run: RunData, environment: str, method: Method) -> tuple[Cell, ...]:
    figures = (run.evaluations.final(name) for name in ("average", "worst", "nominal"))
    digests = (str(run.summary.get(name, "")) for name in ("digest", "state_digest"))
    steps = int(run.training.steps[-1]) if len(run.training.steps) else 0
    return (run.label, environment, method.label, run.seed, run.status, steps, *figures,
            len(run.training.failures), *digests)  # fmt: skip


def configurations(data: ReportData) -> Section:
    """What all experiments share, once; then what differs."""
    methods = [method for study in data.studies for method in study.methods]
    flats = [identity(method.flat) for method in methods]
    keys = differing(flats) if flats else []
    common = {k: v for k, v in (flats[0] if flats else {}).items() if k not in keys}
    text = "Below: what is the same in all runs. The table: the keys that differ, by method."
    rows = tuple(
        (method.label, *(value_text(f[k]) if k in f else "" for k in keys))
        for method, f in zip(methods, flats, strict=True)
    )
    return Section(
        id="configurations",
        title="Configurations",
        text=text if keys else "The same in all runs, but for the seeds.",
        table=Table(columns=("method", *keys), rows=rows) if keys else None,
        source=_yaml(common) + "".join(_sweep(sweep) for sweep in data.sweeps),
    )


def _sweep(sweep: SweepInfo) -> str:
    return f"\n# sweep {sweep.path.resolve().name}\n" + _yaml({"sweep": sweep.config})


def made_with(data: ReportData) -> Section:
    """Each execution profile once, with the runs it made, and laws that did not hold in some."""
    made: dict[str, list[str]] = {}
    for run in data.runs:
        made.setdefault(_yaml(run.profile or {"profile": "not known"}), []).append(run.label)
    parts = [f"# {_few(labels)}\n{text}" for text, labels in made.items()]
    return Section(
        id="made-with",
        title="Made with",
        text="The same bits come out under the same profile: processor, threads and versions.",
        source="\n".join([*parts, *_exemptions(data.runs)]),
    )


def _exemptions(runs: Iterable[RunData]) -> Iterator[str]:
    """Laws of docs/reproducibility.md that a plug-in declares not to hold, with the reason."""
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
