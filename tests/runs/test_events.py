"""log.jsonl: every event with its fields, appended whenever a run goes on."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fedrl_ray
from fedrl_ray.common.errors import RunError, one_line
from fedrl_ray.federation.driver import Driver
from fedrl_ray.reports.data import read
from fedrl_ray.reports.sections import sections
from fedrl_ray.runs.events import EVENTS, LOG, RunLog
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.faulty_backend import FaultyBackend
from tests.support.runs import train

COMMON = ["time", "level", "event", "run", "round", "agents"]


def events(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / LOG).read_text().splitlines()]


def names(directory: Path) -> list[str]:
    return [row["event"] for row in events(directory)]


def disturbed(experiment: Any, directory: Path, lose: dict[int, list[int]]) -> Run:
    backend = FaultyBackend(experiment, lose=lose)
    driver = Driver(experiment, directory=directory, backend=backend)
    run = Run(experiment, directory, driver=driver)
    list(run)
    run.finish()
    run.close()
    return run


@pytest.fixture(scope="module")
def rewound(tmp_path_factory) -> Path:
    """Return a run that lost workers in its sixth round and went back to round 4."""
    from fedrl_ray.config.loading import from_dict
    from tests.support.small import SMALL, merged

    directory = tmp_path_factory.mktemp("rewound") / "run-7"
    experiment = from_dict(merged(SMALL, {"federation": {"agents_per_actor": 2}}))
    disturbed(experiment, directory, {5: [0, 2]})
    return directory


def test_a_run_tells_its_life_in_order(rewound):
    told = names(rewound)
    assert told[:4] == ["started", "checkpoint", "evaluation", "checkpoint"]
    assert told[4:7] == ["worker_lost", "worker_lost", "rewind"]
    assert told[7:] == ["evaluation", "checkpoint", "evaluation", "checkpoint", "completed"]


def test_every_event_has_the_common_fields_and_its_own(rewound):
    for row in events(rewound):
        assert list(row)[:6] == COMMON
        assert tuple(list(row)[6:]) == EVENTS[row["event"]].fields
        assert row["run"] == "run-7"
        moment = datetime.fromisoformat(row["time"])
        assert row["time"].endswith("Z") and moment.utcoffset().total_seconds() == 0


def test_a_lost_host_is_told_with_kind_agents_reason_and_place(rewound):
    lost = [row for row in events(rewound) if row["event"] == "worker_lost"]
    assert [row["agents"] for row in lost] == [[0, 1], [4]]
    assert all((row["kind"], row["reason"]) == ("died", "for the test") for row in lost)
    assert all((row["round"], row["level"], row["pid"]) == (5, "warning", os.getpid())
               for row in lost)  # fmt: skip
    rewind = next(row for row in events(rewound) if row["event"] == "rewind")
    assert (rewind["from_round"], rewind["to_round"], rewind["round"]) == (5, 4, 4)


def test_the_start_tells_the_packing_and_every_host(rewound):
    start = events(rewound)[0]
    assert start["packing"] == [2, 2, 1] and start["rounds"] == 12
    assert [worker["agents"] for worker in start["workers"]] == [[0, 1], [2, 3], [4]]
    assert {worker["pid"] for worker in start["workers"]} == {os.getpid()}
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    assert {worker["niceness"] for worker in start["workers"]} == {niceness}
    assert json.loads((rewound / "summary.json").read_text())["niceness"] == niceness


def test_a_resumed_run_appends(small, tmp_path):
    first = Run(small(), tmp_path / "run")
    for _ in range(5):
        first.advance()
    first.close()
    before = (tmp_path / "run" / LOG).read_text()
    again = Run(small(), tmp_path / "run", resume=True, driver_died="killed for the test")
    list(again)
    again.finish()
    again.close()
    text = (tmp_path / "run" / LOG).read_text()
    assert text.startswith(before)
    later = names(tmp_path / "run")[before.count("\n") :]
    assert later[:2] == ["driver_died", "resumed"] and later[-1] == "completed"
    resumed = next(row for row in events(tmp_path / "run") if row["event"] == "resumed")
    assert resumed["round"] == 4


def test_a_run_that_fails_says_why_in_one_line(small, tmp_path):
    experiment = small(learner={"learning_rate": 1e30})
    with pytest.raises(RunError) as error:
        train(experiment, tmp_path / "run")
    lost, failed = events(tmp_path / "run")[-2:]
    assert (lost["event"], lost["kind"], lost["agents"]) == ("worker_lost", "exception", [0])
    assert (failed["event"], failed["level"]) == ("failed", "error")
    assert failed["reason"] == str(error.value) and "\n" not in failed["reason"]


def test_a_line_cut_short_does_not_spoil_the_next(tmp_path):
    log = RunLog(tmp_path)
    log.note("rewind", round=3, from_round=5, to_round=3)
    with (tmp_path / LOG).open("a") as file:
        file.write('{"time": "2026-')
    log.note("completed", round=4, seconds=1.0, digest="d")
    lines = (tmp_path / LOG).read_text().splitlines()
    assert json.loads(lines[0])["event"] == "rewind"
    assert json.loads(lines[2])["event"] == "completed"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_not_in_the_way(tmp_path, capfd):
    (tmp_path / LOG).symlink_to("/dev/full")
    RunLog(tmp_path).note("rewind", round=3, from_round=5, to_round=3)
    assert capfd.readouterr() == ("", "")


def test_numbers_that_are_not_finite_are_null(tmp_path):
    RunLog(tmp_path).note("evaluation", round=1, nominal=float("nan"), average=1.0)
    row = events(tmp_path)[0]
    assert row["nominal"] is None and row["average"] == 1.0


def test_one_line_keeps_what_comes_before_a_traceback_and_its_end():
    text = "agent 2 raised: \nTraceback (most recent call last):\n  ...\nValueError: no"
    assert one_line(text) == "agent 2 raised: ValueError: no"
    assert one_line(KeyError()) == "KeyError"


def test_seconds_per_phase_add_up_to_the_round(rewound):
    rows, unaccounted = read_rows(rewound / METRICS), []
    for row in rows:
        spent = sum(row["phases"][n] for n in ("learning", "communication", "aggregation"))
        assert spent <= row["seconds"] + 1e-3
        if not row["failures"]:
            unaccounted.append(row["seconds"] - spent)
            assert row["phases"]["recovery"] == 0
        assert row["phases"]["learning"] == pytest.approx(row["learning"], abs=1e-5)
        assert (row["phases"]["evaluation"] > 0) == (row["round"] in (4, 8, 12))
    assert np.median(unaccounted) < 0.05  # a busy machine may pause us between two phases
    after = next(row for row in rows if row["failures"])
    assert after["phases"]["recovery"] > 0


def test_what_was_lost_under_continue_is_in_the_logs_and_the_report(small, tmp_path):
    experiment = small(federation={"agents_per_actor": 2, "on_failure": "continue"})
    disturbed(experiment, tmp_path / "run", {5: [1], 6: [1], 9: [1, 2]})
    rows = read_rows(tmp_path / "run" / METRICS)
    absent = {row["round"]: row["absent"] for row in rows if row["absent"]}
    assert absent == {6: [2, 3], 7: [2, 3], 10: [2, 3, 4]}
    rebuilt = [row["agents"] for row in events(tmp_path / "run") if row["event"] == "rebuilt"]
    assert rebuilt == [[2, 3], [2, 3], [2, 3], [4]]
    section = next(s for s in sections(read([tmp_path / "run"])) if s.id == "lost")
    assert "run: agents 2-3 missed rounds 6-7: 80 agent steps, 6.67% of the run." in section.text
    assert section.table is not None
    assert section.table.rows[1] == ("run", "agents 2-4", "round 10", 60, "5.00")
    missing = sum(row[3] for row in section.table.rows)
    assert missing == 1200 - rows[-1]["agent_steps"]


def test_a_report_of_whole_rounds_says_nothing_of_losses(rewound):
    assert "lost" not in [s.id for s in sections(read([rewound]))]
    cost = next(s for s in sections(read([rewound])) if s.id == "cost")
    assert cost.table is not None
    shown = dict(zip(cost.table.columns, cost.table.rows[0], strict=True))
    assert np.isfinite(shown["checkpoint, seconds per round"])
    assert shown["recovery, seconds per round"] > 0


def test_every_event_that_is_told_is_known_and_every_known_one_is_told():
    package = Path(fedrl_ray.__file__).parent
    sources = "".join(path.read_text() for path in package.rglob("*.py"))
    told = set(re.findall(r'\b(?:_?tell|self\.event)\(\s*"(\w+)"', sources))
    assert told | {"started", "resumed", "completed", "interrupted"} == EVENTS.keys()


def test_the_documented_events_are_those_there_are():
    text = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", text, re.MULTILINE)
    documented = {name: (level, tuple(re.findall(r"`(\w+)`", own))) for name, level, own in rows
                  if name in EVENTS}  # fmt: skip
    levels = {10: "debug", 20: "info", 30: "warning", 40: "error"}
    assert documented == {n: (levels[e.level], e.fields) for n, e in EVENTS.items()}
