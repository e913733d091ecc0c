"""The videos of the global policy that `fedrl-ray video` recorded beside a run."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from ..runs.run_directory import VIDEOS
from .data import ReportData
from .numbers import number, value_text
from .runs import RunData
from .section import Section, Table, Video
from .video_index import VideoFacts

MOST_EMBEDDED = 2**24
"""Bytes of the videos that the page itself holds; the table names the files of all."""
_COLUMNS = ("run", "environment", "parameters", "round", "episode", "return", "mean return",
            "steps", "file")  # fmt: skip


def videos(data: ReportData) -> Section | None:
    """Return a section with the videos of all runs; None if there is none."""
    found = [
        (run, run.videos["round"], facts)
        for run in data.runs
        if run.videos is not None
        for facts in run.videos["videos"]
    ]
    if not found:
        return None
    text = (
        "The global policy in the unperturbed environment (nominal) and in the one of the test "
        "grid with the lowest mean return (worst). An episode is the one that the evaluation "
        "scored, with its seed, its parameters and its actions."
    )
    return Section(
        id="videos",
        title="Videos of the global policy",
        text=text,
        table=Table(columns=_COLUMNS, rows=tuple(_row(*one) for one in found)),
        videos=tuple(_embedded([(run, facts) for run, _, facts in found])),
    )


def _row(run: RunData, round_number: int, facts: VideoFacts) -> tuple[str | int, ...]:
    mean = facts["mean_return"]
    return (
        run.label,
        facts["name"],
        ", ".join(f"{name} {value_text(value)}" for name, value in facts["dynamics"].items()),
        round_number,
        facts["episode"],
        number(facts["episode_return"]),
        "" if mean is None else number(mean),
        facts["steps"],
        str(run.path / VIDEOS / facts["file"]),
    )


def _embedded(found: list[tuple[RunData, VideoFacts]]) -> Iterator[Video]:
    """Yield the videos that fit into the page, in order; a missing file is passed over."""
    room = MOST_EMBEDDED
    for run, facts in found:
        path = run.path / VIDEOS / facts["file"]
        if not path.is_file() or path.stat().st_size > room:
            continue
        content = path.read_bytes()
        room -= len(content)
        title = f"{run.label}, {facts['name']}: return {number(facts['episode_return'])}"
        data = base64.b64encode(content).decode()
        yield Video(title=title, source=f"data:video/mp4;base64,{data}")
