"""A resumed sweep goes on from our own records, whatever is left of Ray Tune's state."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedrl_ray.common.errors import UserError
from fedrl_ray.config import loading
from fedrl_ray.runs.run_directory import EVALUATIONS, SUMMARY, read_rows
from fedrl_ray.storage import checkpoints
from fedrl_ray.sweeps.directory import FAILURE, Ledger, Trial, read_trials
from fedrl_ray.sweeps.resume import forget_failures, left_variants, listed_variants
from fedrl_ray.sweeps.suggestions import suggested
from fedrl_ray.sweeps.sweep import SweepOptions, run_sweep
from tests.support.runs import digests
from tests.support.small import SMALL, merged

TINY = {
    "federation": {"num_agents": 2, "steps": 160},
    "learner": {"hidden_sizes": [8]},
    "evaluation": {"every": 40},
    "checkpoint": {"every": 40, "keep": 9},
}
GRID = {"search": {"learner.omega": [0.0, 0.3]}, "seeds": 2}
RANGE = {"learner.omega": {"uniform": [0.0, 1.0]}}
PBT = {"search": RANGE, "scheduler": {"name": "pbt", "interval": 40}, "samples": 4}
OPTUNA = {"search": RANGE, "searcher": "optuna", "samples": 3, "seeds": 2, "max_concurrent": 1}


class Touches:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


def torn(tune: Path) -> None:
    """Cut every file in half, as a disk that was full while they were written."""
    for file in files(tune):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(tune: Path) -> None:
    """Leave every file without content."""
    for file in files(tune):
        file.write_bytes(b"")


def missing(tune: Path) -> None:
    """Delete Tune's records of the trials and the references to their checkpoints."""
    for file in (*tune.glob("experiment_state-*"), *tune.rglob("trial.json")):
        file.unlink()


def gone(tune: Path) -> None:
    """Delete the whole folder, as `fetch` leaves it out."""
    shutil.rmtree(tune)


def planted(tune: Path) -> None:
    """Put code into every pickle."""
    for file in tune.rglob("*.pkl"):
        file.write_bytes(pickle.dumps(Touches(tune.parent / "mark")))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def options(output: Path, **keys: Any) -> SweepOptions:
    return SweepOptions(source="file", output=output, command=[], as_json=True, **keys)


def sweep_of(folder: Path, section: dict[str, Any]):
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(merged(SMALL, TINY) | {"sweep": section}, sort_keys=False))
    return loading.load(path)


def table(folder: Path, trials: list[Trial]) -> list[tuple[Any, ...]]:
    """Return what a sweep found: each trial with its digests and evaluations."""
    runs = [folder / "trials" / trial.name for trial in trials]
    ends = [digests(json.loads((run / SUMMARY).read_text())) for run in runs]
    return list(zip(trials, ends, (read_rows(run / EVALUATIONS) for run in runs), strict=True))


def interrupt(folder: Path) -> None:
    """Make a finished sweep one that ended with a trial done, one half done, and two not begun.

    The logs of the second are ahead of its checkpoint, and the third died while it began.
    """
    _, half, begun, never = read_trials(folder)
    Ledger(folder).put(half._replace(status="running"), begun._replace(status="running"))
    Ledger(folder).put(never._replace(status="pending"))
    run = folder / "trials" / half.name
    (run / SUMMARY).unlink()
    for checkpoint in checkpoints.existing(run / "checkpoints")[2:]:
        shutil.rmtree(checkpoint)
    shutil.rmtree(folder / "trials" / begun.name)
    (folder / "trials" / begun.name).mkdir()
    shutil.rmtree(folder / "trials" / never.name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, local_ray):
    """A finished sweep over two omegas and two seeds."""
    experiment = sweep_of(folder := tmp_path_factory.mktemp("undisturbed"), GRID)
    return experiment, *run_sweep(experiment, options(folder / "out"))


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize(
    "damage", [torn, missing, planted, empty, gone], ids=lambda damage: damage.__name__
)
def test_the_table_is_that_of_the_undisturbed_sweep(undisturbed, tmp_path, damage):
    experiment, finished, expected = undisturbed
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    interrupt(folder)
    damage(folder / "tune")
    _, trials = run_sweep(experiment, options(folder, resume=True))
    assert table(folder, trials) == table(finished, expected)
    assert {trial.status for trial in trials} == {"completed"}
    assert not (folder / "mark").exists(), "a pickle was read"
    for trial in trials[1:]:  # of those that ran again, Tune's own results hold no row twice
        rows = (folder / "tune" / trial.name / "result.json").read_text().splitlines()
        assert [json.loads(row)["steps"] for row in rows] == [40, 80, 120, 160]


@pytest.fixture
def listed(tmp_path):
    """An experiment, and the trials of its sweep before it has begun."""
    experiment = sweep_of(tmp_path, GRID)
    variants = listed_variants(experiment, experiment.sweep)
    return experiment, [Trial(name, v.point, v.seed) for name, v in variants.items()]


def test_only_the_trials_that_have_not_ended_are_left(listed, tmp_path):
    experiment, trials = listed
    sweep = experiment.sweep
    first, second, third, fourth = trials
    Ledger(tmp_path).put(
        first._replace(status="failed", reason="x"),
        second._replace(status="stopped"),
        third._replace(status="running"),
        fourth._replace(status="pending"),
    )
    left = left_variants(experiment, sweep, tmp_path, retry_failed=False)
    assert list(left) == [third.name, fourth.name]
    left = left_variants(experiment, sweep, tmp_path, retry_failed=True)
    assert list(left) == [first.name, third.name, fourth.name]
    assert left[first.name].point == first.point


@pytest.mark.parametrize("reason", ["No space left on device", "Disk quota exceeded",
                                    "Read-only file system", "Input/output error"])  # fmt: skip
def test_a_trial_that_failed_for_want_of_disk_runs_again(listed, tmp_path, reason):
    experiment, trials = listed
    told = f"x.safetensors: cannot be written: {reason} (os error)"
    first, second, third, fourth = (trial._replace(status="failed") for trial in trials)
    Ledger(tmp_path).put(first._replace(reason=told), second._replace(reason="another"))
    Ledger(tmp_path).put(third._replace(status="running"), fourth._replace(status="completed"))
    notes = [tmp_path / "trials" / trial.name / FAILURE for trial in trials]
    for note in notes:
        note.parent.mkdir(parents=True)
        note.touch()
    left = left_variants(experiment, experiment.sweep, tmp_path, retry_failed=False)
    assert list(left) == [first.name, third.name]
    forget_failures(tmp_path, retry_failed=False)
    assert [note.exists() for note in notes] == [False, True, False, True]
    forget_failures(tmp_path, retry_failed=True)
    assert [note.exists() for note in notes] == [False, False, False, True]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("section", [PBT, OPTUNA], ids=["pbt", "optuna"])
def test_a_population_and_a_searcher_go_on_too(tmp_path, local_ray, section):
    experiment = sweep_of(tmp_path, section)
    folder, before = run_sweep(experiment, options(tmp_path / "out"))
    expected = table(folder, before)
    trials = read_trials(folder)
    Ledger(folder).put(*[trial._replace(status="running") for trial in trials[-2:]])
    for trial in trials[-2:]:
        run = folder / "trials" / trial.name
        (run / SUMMARY).unlink()
        shutil.rmtree(checkpoints.existing(run / "checkpoints")[-1])
    torn(folder / "tune")
    _, after = run_sweep(experiment, options(folder, resume=True))
    assert [trial.name for trial in after] == [trial.name for trial in before]
    assert {trial.status for trial in after} == {"completed"}
    if section is OPTUNA:  # a population may have changed its keys once more
        assert table(folder, after) == expected


@pytest.mark.slow
@pytest.mark.ray
def test_optuna_suggests_after_a_resume_what_it_would_have_suggested(tmp_path, local_ray):
    experiment = sweep_of(tmp_path, OPTUNA)
    folder, expected = run_sweep(experiment, options(tmp_path / "out"))
    ledger = Ledger(folder)
    for trial in expected[3:]:  # the second point has one seed yet, the third none
        del ledger.trials[trial.name]
        shutil.rmtree(folder / "trials" / trial.name)
    ledger.put()
    _, after = run_sweep(experiment, options(folder, resume=True))
    assert after == expected


def test_suggestions_are_numbered_by_the_names_of_their_trials(tmp_path):
    sweep = sweep_of(tmp_path, OPTUNA).sweep
    trials = [Trial(f"0000{n}-omega={n}-seed={n % 2}", {"learner.omega": n}, n % 2) for n in (0, 5)]
    assert suggested(trials, sweep) == {0: {"learner.omega": 0}, 2: {"learner.omega": 5}}
    with pytest.raises(UserError, match="1a2b3c4d-omega=1-seed=0 was named by an earlier version"):
        suggested([Trial("1a2b3c4d-omega=1-seed=0", {"learner.omega": 1}, 0)], sweep)
