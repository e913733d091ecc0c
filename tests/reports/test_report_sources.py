"""From paths to runs: every missing or unreadable run is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fedrl_ray.common.errors import UserError
from fedrl_ray.reports.data import read
from fedrl_ray.reports.sections import sections
from fedrl_ray.reports.series import bins_of
from tests.support.report_runs import returns_of, write_run, write_sweep

POINTS = [{"learner.omega": omega} for omega in (0.0, 0.3)]
SEARCH = {"learner.omega": [0.0, 0.3]}


def sweep(tmp_path, **trials):
    numbered = {int(key[1:]): value for key, value in trials.items()}
    return write_sweep(tmp_path / "sweep", SEARCH, POINTS, seeds=2, trials=numbered)


def problems(path):
    return {p.run: p for p in read([path]).problems}


def test_a_complete_sweep_has_no_problems(tmp_path):
    data = read([sweep(tmp_path)])
    assert not data.problems and len(data.runs) == 4
    assert [len(m.runs) for m in data.studies[0].methods] == [2, 2]


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ({"status": "failed", "reason": "first\n  deep\nValueError: no", "share": 0.4}, "no"),
        ({"status": "failed", "reason": None, "share": 0}, "it gave no reason"),
        ({"status": "running", "share": 0.5}, "it has not ended"),
        ({"status": "pending", "share": 0}, "it has not begun"),
        ({"status": "stopped", "share": 0.3}, "the scheduler stopped it"),
        ({"status": "completed", "share": 0}, "its run directory is missing"),
    ],
)
def test_a_trial_that_is_not_complete_is_named_with_its_keys(tmp_path, trial, words):
    found = problems(sweep(tmp_path, t1=trial))
    assert list(found) == ["00001-seed=0"]
    problem = found["00001-seed=0"]
    assert problem.status == trial["status"] and words in problem.reason
    assert problem.point == {"learner.omega": 0.3, "seed": 0}
    assert "\n" not in problem.reason


def test_runs_of_a_sweep_that_do_not_read_do_not_stop_the_report(tmp_path):
    path = sweep(tmp_path)
    (path / "trials" / "00002-seed=1" / "metrics.jsonl").write_text("{\n")
    (path / "trials" / "00003-seed=1" / "config.yaml").write_text("name: [\n")
    found = problems(path)
    assert {p.status for p in found.values()} == {"unreadable"} and len(found) == 2
    assert "metrics.jsonl: line 1" in found["00002-seed=1"].reason


def test_a_trial_cannot_name_a_folder_outside_its_sweep(tmp_path):
    path = sweep(tmp_path)
    rows = json.loads((path / "trials.json").read_text())
    rows["trials"][0]["name"] = "../../elsewhere"
    (path / "trials.json").write_text(json.dumps(rows))
    with pytest.raises(UserError, match="is not a trial of a sweep"):
        read([path])


def test_folders_hold_runs_sweeps_and_strangers(tmp_path):
    write_run(tmp_path / "all" / "run")
    write_sweep(tmp_path / "all" / "sweep", SEARCH, POINTS)
    (tmp_path / "all" / "stranger").mkdir()
    (tmp_path / "all" / "stranger" / "evaluations.jsonl").write_text("")
    (tmp_path / "all" / "notes").mkdir()
    data = read([tmp_path / "all"])
    assert len(data.runs) == 5 and len(data.sweeps) == 1
    assert [str(p) for p in data.problems] == ["stranger: skipped: it has no config.yaml"]


def test_a_run_reached_twice_counts_once(tmp_path):
    path = write_run(tmp_path / "all" / "run")
    assert len(read([path, tmp_path / "all", path]).runs) == 1


def test_two_sweeps_keep_their_trials_apart(tmp_path):
    for name in "ab":
        write_sweep(tmp_path / name, SEARCH, POINTS, trials={0: {"status": "failed", "share": 0}})
    data = read([tmp_path / "a", tmp_path / "b"])
    assert len({run.label for run in data.runs}) == 6
    assert len({p.run for p in data.problems if p.status == "failed"}) == 2


def test_a_run_that_is_under_way_or_was_interrupted_is_named(tmp_path):
    write_run(tmp_path / "under-way", share=0.5, status=None)
    write_run(tmp_path / "stopped", share=0.25, status="interrupted", seed=5)
    found = problems(tmp_path)
    assert str(found["under-way"]) == "under-way: unfinished: 1,000 of 2,000 local steps done"
    assert found["stopped"].status == "interrupted"


def test_a_sweep_that_has_not_begun_has_a_page(tmp_path):
    trials = {i: {"status": "pending", "share": 0} for i in range(4)}
    data = read([write_sweep(tmp_path / "sweep", SEARCH, POINTS, trials=trials)])
    assert len(data.problems) == 4 and sections(data)[0].id == "missing"


def test_seeds_twice_are_named(tmp_path):
    for name in ("one", "two"):
        write_run(tmp_path / name, seed=1)
    assert "another run of small has seed 1 too" in problems(tmp_path)["two"].reason


def test_a_log_of_another_experiment_is_refused(tmp_path):
    path = write_run(tmp_path / "run")
    text = (path / "config.yaml").read_text().replace("num_agents: 5", "num_agents: 4")
    (path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="agents: must list 4 values"):
        read([path])


@pytest.mark.parametrize("text", ["{}", "name: x\n", "- 1\n"])
def test_a_config_that_is_no_experiment_is_refused(tmp_path, text):
    path = write_run(tmp_path / "run")
    (path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        read([path])


def test_returns_that_are_not_finite_are_left_out_and_named(tmp_path):
    path = write_run(tmp_path / "run")
    row = json.loads((path / "evaluations.jsonl").read_text().splitlines()[-1])
    row["episode_returns"][0][0] = None
    (path / "evaluations.jsonl").write_text(json.dumps(row) + "\n")
    assert "not all finite" in problems(path)["run"].reason


def test_a_run_is_read_in_brief(tmp_path):
    path = write_run(tmp_path / "run", federation={"steps": 20_000})
    run = read([path]).runs[0]
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 1000 == run.training.rounds and len(run.training.steps) == 300
    assert run.training.steps[0] == 20 and run.training.steps[-1] == 20_000
    weights = np.bincount(bins_of(np.arange(1, 1001), 1000))
    drift = np.array([row["drift"] for row in rows])
    assert np.average(run.training.drift, weights=weights) == pytest.approx(drift.mean())
    assert run.training.bytes == sum(row["bytes"] for row in rows)


def test_final_returns_are_means_over_the_last_tenth(tmp_path):
    run = read([write_run(tmp_path / "run")]).runs[0]
    expected = np.mean([returns_of(run.config, steps) for steps in (1900, 2000)], axis=0)
    np.testing.assert_allclose(run.evaluations.final_returns, expected)
    assert run.evaluations.final("worst") == pytest.approx(
        np.mean([returns_of(run.config, steps).mean(1).min() for steps in (1900, 2000)])
    )


def test_what_has_changed_is_read_again_and_nothing_else(tmp_path):
    path = write_run(tmp_path / "run", share=0.5, status=None)
    first, again = read([path]).runs[0], read([path]).runs[0]
    assert again.training is first.training
    with (path / "metrics.jsonl").open("a") as file:
        file.write((path / "metrics.jsonl").read_text().splitlines()[-1] + "\n")
    assert read([path]).runs[0].training.rounds == first.training.rounds + 1
