"""Progress of a job's run, read from its directory, or from its log if that is out of reach."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..common.errors import RunError, UserError
from ..runs.run_directory import METRICS, SUMMARY, read_rows
from ..storage import locations
from ..sweeps.directory import TRIALS, read_trials
from .records import Job, reaching


def progress(client: Any, job: Job) -> dict[str, Any]:
    """Return `round` and `steps` of a run, or `trials` by status of a sweep.

    The dictionary is empty as long as nothing is known.
    """
    with contextlib.suppress(UserError, RunError, OSError):
        found = _stored(job)
        if found:
            return found
    with contextlib.suppress(RunError), reaching(client):
        return _logged(client.get_job_logs(job.id))
    return {}


def _stored(job: Job) -> dict[str, Any]:
    location = locations.parse(job.output)
    wanted = [TRIALS] if job.command == "sweep" else [METRICS, SUMMARY]
    there = [name for name in wanted if locations.exists(locations.child(location, name))]
    if not there:
        return {}
    with locations.reading(location, there) as folder:
        return _trials(folder) if job.command == "sweep" else _rounds(folder)


def _trials(folder: Path) -> dict[str, Any]:
    return {"trials": dict(Counter(trial.status for trial in read_trials(folder)))}


def _rounds(folder: Path) -> dict[str, Any]:
    rows = read_rows(folder / METRICS)
    found: dict[str, Any] = {k: rows[-1][k] for k in ("round", "steps")} if rows else {}
    with contextlib.suppress(OSError, ValueError):
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        found |= {"run": summary["status"], "digest": summary["digest"]}
    return found


def _logged(text: str) -> dict[str, Any]:
    """Return the last round in the log. A run prints its round at each evaluation."""
    told = re.findall(r"^round (\d+)/\d+ ", text, re.MULTILINE)
    return {"round": int(told[-1])} if told else {}


def in_words(found: dict[str, Any]) -> str:
    """Return the progress as a phrase; an empty one if nothing is known."""
    if "trials" in found:
        return ", ".join(f"{count} {status}" for status, count in found["trials"].items())
    if "round" not in found:
        return ""
    steps = f", {found['steps']} steps" if "steps" in found else ""
    return f"round {found['round']}{steps}"
