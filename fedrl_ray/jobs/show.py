"""Jobs as text for the terminal, and as plain data for --json."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from ..common.console import console, notes
from ..storage.uris import without_secrets
from .progress import in_words, progress
from .records import Job


def introduce(client: Any, job: Job) -> None:
    """Print the id of a new job, the place of its results, and the commands for it."""
    rows = {
        "job": job.id,
        "results": f"{job.output} (on the cluster)",
        "watch": f"{command(client, 'logs', job.id)} --follow",
        "status": command(client, "status", job.id),
        "dashboard": f"{client.get_address()}/#/jobs/{job.id}",
        "stop": command(client, "stop", job.id),
        "fetch": command(client, "fetch", job.id),
    }
    _rows(rows)


def command(client: Any, *parts: str) -> str:
    """Return one of our command lines for this cluster."""
    return shlex.join(["fedrl-ray", *parts, "--address", client.get_address()])


def fields(client: Any, job: Job) -> dict[str, Any]:
    """Return all that is known of a job as plain data."""
    return {
        "job": job.id,
        "status": job.status,
        "command": job.command,
        "name": job.name,
        "output": without_secrets(job.output),
        "progress": progress(client, job),
        "start": job.start,
        "end": job.end,
        "versions": job.versions,
        "message": _error_line(job.message),
        "address": client.get_address(),
    }


def details(known: dict[str, Any]) -> None:
    """Print the fields of one job."""
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    _rows(
        {
            "job": f"{known['job']} ({known['command']})",
            "status": known["status"].lower(),
            "progress": _progress(known["progress"]),
            "results": known["output"],
            "started": _time(known["start"]),
            "ended": "" if known["end"] is None else _time(known["end"]),
            "from": versions,
            "message": known["message"],
        }
    )


def table(client: Any, jobs: Sequence[Job]) -> None:
    """Print a table of jobs, in the order given."""
    if not jobs:
        console.print("this cluster has no fedrl-ray jobs")
        return
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("job", "status", "progress", "started", "results"):
        shown.add_column(title, overflow="fold", no_wrap=title == "job")
    for job in jobs:
        done = _progress(progress(client, job))
        place = without_secrets(job.output)
        shown.add_row(job.id, job.status.lower(), done, _time(job.start), place)
    console.print(shown)


def remark(text: str) -> None:
    """Print a remark to standard error."""
    notes.print(text, soft_wrap=True)


def _rows(rows: dict[str, str]) -> None:
    for title, text in rows.items():
        if text:
            console.print(f"{title:<10}{text}", soft_wrap=True)


def _progress(found: dict[str, Any]) -> str:
    return " ".join(part for part in (in_words(found), found.get("run", "")) if part)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def _error_line(message: str) -> str:
    """Return our last `error: ` line in Ray's message, else the first line of the message.

    Below its first line, Ray's message quotes the last lines of the log.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("error: ")]
    return (told or lines or [""])[-1 if told else 0]
