"""The dashboard: the files that it reads, the page that it shows, the updates that it sends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedrl_ray.dashboard import live, stamps
from fedrl_ray.dashboard.live import Live, Snapshot
from fedrl_ray.dashboard.parts import part_of
from fedrl_ray.dashboard.trials import counts
from fedrl_ray.dashboard.updates import update_of
from fedrl_ray.reports import runs
from fedrl_ray.reports.data import read
from fedrl_ray.reports.section import Section, Table
from fedrl_ray.reports.sections import sections
from tests.support.dashboards import POINTS, SEARCH, TRIALS, few, sweep
from tests.support.report_runs import config_of, returns_of, write_run, write_sweep

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def folder(tmp_path):
    """A sweep under way, with a trial of every status."""
    return sweep(tmp_path / "sweep")


@pytest.fixture
def watch(monkeypatch):
    """Reads paths as the server's thread does, on demand, and draws two sections only."""
    monkeypatch.setattr(live, "REST", 0.0)
    monkeypatch.setattr(live, "headline", lambda data: "so far")
    monkeypatch.setattr(live, "sections", few)

    def of(*paths: Path) -> Live:
        watching = Live(paths)
        watching.refresh()
        return watching

    return of


@pytest.fixture
def reads(monkeypatch):
    """Names of the run directories that have been read, in order."""
    names: list[str] = []
    original = runs.evaluation_log

    def recorded(path):
        names.append(path.parent.name)
        return original(path)

    monkeypatch.setattr(runs, "evaluation_log", recorded)
    return names


def add_row(run: Path, log: str = "evaluations.jsonl", **changes: object) -> None:
    """Append the next row of a log."""
    row = json.loads((run / log).read_text().splitlines()[-1])
    row |= {"round": row["round"] + 5, "steps": row["steps"] + 100, **changes}
    with (run / log).open("a") as file:
        file.write(json.dumps(row) + "\n")


def trial(folder: Path, number: int) -> Path:
    return folder / "trials" / f"{number:05d}-seed={number // 2}"


# Reading


def test_what_has_not_changed_is_not_read_again(folder, watch, reads):
    watching = watch(folder)
    assert sorted(reads) == ["00000-seed=0", "00001-seed=0", "00002-seed=1"]
    version = watching.snapshot().version
    for _ in range(3):
        watching.refresh()
    assert len(reads) == 3 and watching.snapshot().version == version
    add_row(trial(folder, 1))
    watching.refresh()
    assert reads[3:] == ["00001-seed=0"]


def test_however_many_browsers_ask_nothing_more_is_read(folder, watch, reads):
    watching = watch(folder)
    first = watching.snapshot()
    assert all(watching.snapshot() is first for _ in range(100))
    assert len(reads) == 3


def test_a_new_row_shows_in_the_trials_and_in_the_curves(folder, watch):
    watching = watch(folder)
    before = watching.snapshot()
    add_row(trial(folder, 1), worst=7.25, average=8.5)
    watching.refresh()
    after = watching.snapshot()
    row = next(row for row in after.rows if row.status == "running")
    assert (row.worst, row.average) == (7.25, 8.5)
    pairs = zip(before.parts, after.parts, strict=True)
    changed = [new.id for old, new in pairs if old.digest != new.digest]
    assert changed == ["learning-worst"]


def test_a_line_that_is_being_written_is_no_error(folder, watch):
    with (trial(folder, 1) / "metrics.jsonl").open("a") as file:
        file.write('{"round": 99, "ste')
    watching = watch(folder)
    assert watching.snapshot().problem == "" and len(watching.snapshot().parts) == 2


def test_what_does_not_read_is_named_and_the_page_stays(folder, watch):
    watching = watch(folder)
    before = watching.snapshot()
    text = (folder / "trials.json").read_text()
    (folder / "trials.json").write_text(text[:50])
    watching.refresh()
    torn = watching.snapshot()
    assert "trials.json: cannot be read" in torn.problem and torn.parts == before.parts
    (folder / "trials.json").write_text(text)
    watching.refresh()
    assert watching.snapshot().problem == ""


def test_an_error_of_ours_does_not_end_the_reader(folder, watch, monkeypatch):
    monkeypatch.setattr(live, "sections", lambda data: 1 / 0)
    watching = watch(folder)
    assert watching.snapshot().problem == "ZeroDivisionError: division by zero"
    assert len(watching.snapshot().rows) == 4


def test_a_path_that_is_not_there_yet_is_waited_for(tmp_path, watch):
    path = tmp_path / "sweep"
    watching = watch(path)
    assert watching.snapshot().waiting == (path,) and not watching.snapshot().parts
    write_sweep(path, SEARCH, POINTS, trials={n: {"status": "pending", "share": 0} for n in TRIALS})
    watching.refresh()
    begun = watching.snapshot()
    assert begun.waiting == () and counts(begun.rows) == "4 trials: 4 pending"
    write_run(tmp_path / "run", share=0.5, status=None)
    both = watch(path, tmp_path / "run", tmp_path / "none").snapshot()
    assert counts(both.rows) == "5 trials: 4 pending, 1 unfinished"
    assert both.waiting == (tmp_path / "none",)


def test_drawing_rests_and_the_trials_do_not_wait_for_it(folder, watch, monkeypatch):
    monkeypatch.setattr(live, "REST", 1e9)
    watching = watch(folder)
    before = watching.snapshot()
    add_row(trial(folder, 1), worst=7.25)
    watching.refresh()
    after = watching.snapshot()
    assert after.rows != before.rows and after.parts is before.parts


def test_nothing_is_looked_at_while_nobody_asks(folder, monkeypatch):
    looks: list[float] = []
    monkeypatch.setattr(live, "PERIOD", 0.01)
    monkeypatch.setattr(live, "AWAY", 0.1)
    monkeypatch.setattr(live, "stamps_of", lambda paths: looks.append(time.monotonic()) or {})
    watching = Live([folder])
    watching.start()
    assert soon(lambda: watching.snapshot().parts)  # drawn
    assert soon(lambda: time.monotonic() - looks[-1] > 0.5)  # nobody asks: it has stopped
    count = len(looks)
    watching.snapshot()
    assert soon(lambda: len(looks) > count)


def soon(happens: Callable[[], Any]) -> bool:
    """Return True if it happens within 20 s, enough for a busy machine."""
    end = time.monotonic() + 20.0
    while not happens() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(happens())


def test_stamps_are_of_the_files_that_are_read_and_of_no_others(folder):
    (folder / "tune").mkdir()
    (folder / "tune" / "tuner.pkl").write_bytes(b"")
    files = {str(path.relative_to(folder)) for path in stamps.stamps_of([folder])}
    assert {"sweep.yaml", "trials.json", "trials/00001-seed=0/metrics.jsonl"} <= files
    assert not [file for file in files if file.startswith("tune") or file.endswith(".pkl")]
    assert stamps.stamps_of([folder.parent]) == stamps.stamps_of([folder])  # a folder of sweeps


# The page


def test_trials_are_those_of_the_run_directories_what_runs_comes_first(folder, watch):
    rows = watch(folder).snapshot().rows
    assert [(row.name[:5], row.status, row.steps, row.budget) for row in rows] == [
        ("00001", "running", 1000, 2000),
        ("00002", "failed", 500, 2000),
        ("00003", "pending", None, None),
        ("00000", "completed", 2000, 2000),
    ]
    means = returns_of(config_of(seed=0, learner={"omega": 0.3}), 1000).mean(1)
    assert (rows[0].worst, rows[0].average) == pytest.approx((means.min(), means.mean()))
    assert [row.reason for row in rows] == ["", "<b>no</b>", "", ""]
    assert rows[0].last_row == (trial(folder, 1) / "evaluations.jsonl").stat().st_mtime_ns / 1e9
    assert counts(rows) == "4 trials: 1 completed, 1 failed, 1 pending, 1 running"


def test_every_section_of_the_report_is_there(folder):
    found = sections(read([folder]))
    watching = Live([folder])
    watching.refresh()
    parts = watching.snapshot().parts
    assert sorted(part.id for part in parts) == sorted(section.id for section in found)
    for section in found:
        part = next(part for part in parts if part.id == section.id)
        assert (part.title, part.text, part.source) == (section.title, section.text, section.source)
        assert (part.figure is None) == (section.figure is None)


def test_lines_keep_their_names_when_others_come_before_them(folder, watch):
    watching = watch(folder)

    def lines(id: str) -> dict[str, str]:
        part = next(part for part in watching.snapshot().parts if part.id == id)
        assert part.figure is not None and part.figure["layout"]["uirevision"] == id
        names = {trace["uid"]: trace.get("name") for trace in part.figure["data"]}
        assert len(names) == len(part.figure["data"])
        return names

    before = lines("learning-worst")
    write_run(folder / "trials" / "00003-seed=1", seed=1, status=None, learner={"omega": 0.3})
    watching.refresh()
    assert before.items() <= lines("learning-worst").items()


def test_text_of_users_is_never_markup():
    table = Table(columns=(EVIL,), rows=((EVIL,),))
    part = part_of(Section(id="x", title=EVIL, text=EVIL, table=table))
    assert "<script" not in part.table_html and "&lt;script&gt;" in part.table_html


# Updates


def snapshot(*parts: Section, version: int = 1) -> Snapshot:
    return Snapshot(version=version, parts=tuple(part_of(part) for part in parts))


def part(id: str, text: str = "", figure: object = None) -> Section:
    return Section(id=id, title=id, text=text, figure=figure)


def test_a_browser_that_is_up_to_date_is_told_nothing():
    now = snapshot(part("a"), part("b"))
    first = update_of(now, {})
    assert first is not None and [p.id for p, _ in first.added] == ["a", "b"]
    assert update_of(now, first.known) is None


def test_only_sections_that_have_changed_are_sent():
    known = update_of(snapshot(part("a"), part("b")), {}).known
    update = update_of(snapshot(part("a"), part("b", "new"), version=2), known)
    assert update.added == []
    assert {id["section"] for id, _ in update.properties if isinstance(id, dict)} == {"b"}


def test_sections_come_and_go_without_touching_the_others():
    known = update_of(snapshot(part("a"), part("c")), {}).known
    update = update_of(snapshot(part("a"), part("b"), part("c"), version=2), known)
    assert [(p.id, number) for p, number in update.added] == [("b", 1)] and update.place == 1
    styles = [("a", {"style": {"order": 0}}), ("c", {"style": {"order": 2}})]
    assert update.properties == styles
    gone = update_of(snapshot(part("a"), version=3), update.known)
    assert ("b", {"style": {"display": "none"}}) in gone.properties
    back = update_of(snapshot(part("a"), part("b"), version=4), gone.known)
    assert back.added == [] and ("b", {"style": {"order": 1}}) in back.properties


def test_a_section_that_gets_a_figure_builds_the_page_anew():
    import plotly.graph_objects as go

    known = update_of(snapshot(part("a"), part("b")), {}).known
    update = update_of(snapshot(part("a"), part("b", figure=go.Figure()), version=2), known)
    assert [p.id for p, _ in update.added] == ["a", "b"] and update.place == 0
