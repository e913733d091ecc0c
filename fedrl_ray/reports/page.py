"""One self-contained HTML file on one or several runs; it needs no network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import UserError
from .axis import finite
from .data import RunData, read_runs
from .figures import all_figures

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .7rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; font-size: 13px; }
h2 { margin-top: 2.5rem; }
@media print { h2 { break-after: avoid; } .plotly-graph-div { break-inside: avoid; } }
"""


def write_report(paths: Sequence[Path], output: Path) -> Path:
    """Read the runs, write the page, return its path. Raises UserError."""
    page = render(read_runs(list(paths)))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {output}: {error.strerror}") from None
    return output


def render(runs: Sequence[RunData]) -> str:
    """The page. Everything that comes from users is escaped."""
    title = ", ".join(sorted({run.experiment.name for run in runs}))
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _headline(runs),
        _table(runs),
        *_sections(runs),
        "<h2>Configurations</h2>",
        *[_configuration(run) for run in runs],
        "<h2>Made with</h2>",
        *_profiles(runs),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _headline(runs: Sequence[RunData]) -> str:
    sentences = [_sentence(run) for run in runs if run.evaluations]
    missing = [f"{run.label} has no evaluation yet." for run in runs if not run.evaluations]
    return "".join(f"<p>{html.escape(text)}</p>" for text in sentences + missing)


def _sentence(run: RunData) -> str:
    last = run.evaluations[-1]
    where = "test environments" if last["where"] == "driver" else "agents' own environments"
    nominal = f", {last['nominal']:.1f} in the nominal one" if last.get("nominal") else ""
    return (
        f"{run.label}: after {last['steps']:,} local steps per agent the global policy returns "
        f"{_number(last['average'])} on average and {_number(last['worst'])} in the worst of "
        f"{len(last['returns'])} {where}{nominal}."
    )


def _table(runs: Sequence[RunData]) -> str:
    head = ("run", "learner", "omega", "K", "E", "steps", "nominal", "average", "worst", "status")
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in _row(run)) + "</tr>"
        for run in runs
    )
    return f"<table><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>{rows}</table>"


def _row(run: RunData) -> list[Any]:
    e, last = run.experiment, run.evaluations[-1] if run.evaluations else {}
    figures = [last.get(name) for name in ("nominal", "average", "worst")]
    return [
        run.label,
        e.learner.name,
        getattr(e.learner.settings, "omega", ""),
        e.federation.num_agents,
        e.federation.sync_interval,
        last.get("steps", 0),
        *[_number(value) for value in figures],
        run.status,
    ]


def _number(value: float | None) -> str:
    return "n/a" if finite(value) is None else f"{value:.1f}"


def _sections(runs: Sequence[RunData]) -> list[str]:
    sections = []
    for index, (title, text, figure) in enumerate(all_figures(runs)):
        # plotly.js travels with the first figure only.
        plot = figure.to_html(full_html=False, include_plotlyjs=index == 0)
        sections.append(f"<h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>{plot}")
    return sections


def _profiles(runs: Sequence[RunData]) -> list[str]:
    """Each execution profile once, with the runs it made."""
    made: dict[str, list[str]] = {}
    for run in runs:
        made.setdefault(yaml.safe_dump(run.profile, sort_keys=False), []).append(run.label)
    return [
        f"<p>{html.escape(', '.join(labels))}</p><pre>{html.escape(text)}</pre>"
        for text, labels in made.items()
    ]


def _configuration(run: RunData) -> str:
    text = yaml.safe_dump(run.experiment.to_dict(), sort_keys=False)
    digest = run.summary["digest"] if run.summary else "none yet"
    exemptions = run.summary.get("exemptions", {}) if run.summary else {}
    text += "".join(f"\n# {law}: {reason}" for law, reason in exemptions.items())
    return (
        f"<details><summary>{html.escape(run.label)} (digest {html.escape(str(digest))})</summary>"
        f"<pre>{html.escape(text)}</pre></details>"
    )
