"""Folders without `--output`: each start gets its own, and `--resume` finds the last that began."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from fedrl_ray.cli.train_flow import TrainOptions, train_run
from fedrl_ray.common.errors import UserError
from fedrl_ray.jobs.fetch import fetch
from fedrl_ray.ray_cluster import cluster
from fedrl_ray.runs.default_output import claimed_output, latest_output
from fedrl_ray.runs.run_directory import CONFIG
from fedrl_ray.sweeps.directory import SWEEP
from fedrl_ray.sweeps.sweep import SweepOptions, run_sweep
from tests.jobs.test_fetch import job_of


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def options(**keys) -> TrainOptions:
    given = {"output": None, "resume": False, "restartable": False, "any_profile": False}
    return TrainOptions(**given | keys, progress=False, as_json=True, command=[])


def folders() -> list[str]:
    return sorted(path.name for path in Path("runs").iterdir())


@pytest.mark.parametrize("before", [[], ["small"], ["small", "small-4"], ["small-2", "small-x"]])
def test_starts_at_the_same_moment_get_folders_of_their_own(before):
    for name in before:
        Path("runs", name).mkdir(parents=True)
    together = Barrier(6)

    def start(_):
        together.wait()
        with claimed_output("small") as folder:
            return folder.name

    with ThreadPoolExecutor(6) as pool:
        names = list(pool.map(start, range(6)))
    assert len({*names, *before}) == 6 + len(before)
    assert folders() == sorted([*names, *before])


def test_trainings_without_an_output_are_numbered(small, capsys):
    experiment = small(federation={"steps": 20})
    for _ in range(3):
        assert train_run(experiment, options()) == 0
        json.loads(capsys.readouterr().out)
    assert folders() == ["small", "small-2", "small-3"]


def test_sweeps_without_an_output_are_numbered(small, monkeypatch):
    def no_ray():
        raise UserError("no Ray")

    monkeypatch.setattr(cluster, "connect", no_ray)
    experiment = small(sweep={"search": {"learner.omega": [0.0, 0.3]}})
    for _ in range(2):
        with pytest.raises(UserError, match="no Ray"):
            run_sweep(experiment, SweepOptions(source="file", output=None, command=[]))
    assert folders() == ["sweep-small", "sweep-small-2"]
    assert latest_output("sweep-small", SWEEP) == Path("runs/sweep-small-2")


def test_fetched_directories_are_never_put_into_each_other(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "sweep.yaml").write_text("name: x\n")
    for number in ("", "-2"):
        with claimed_output("there") as target:
            fetch(None, job_of(str(tmp_path / "there")), target,
                  checkpoints=True, through_job=False, image=False)  # fmt: skip
        assert [p.name for p in Path(f"runs/there{number}").iterdir()] == ["sweep.yaml"]
    with pytest.raises(UserError, match="--output runs/there: already exists"):
        fetch(None, job_of(str(tmp_path / "there")), Path("runs/there"),
              checkpoints=True, through_job=False, image=False)  # fmt: skip


def test_a_start_that_fails_leaves_no_folder(small, monkeypatch):
    def no_memory(experiment, plan):
        raise MemoryError

    with monkeypatch.context() as failing:
        failing.setattr("fedrl_ray.runs.run.build_backend", no_memory)
        with pytest.raises(MemoryError):
            train_run(small(federation={"steps": 20}), options())
    assert folders() == []
    with pytest.raises(UserError), claimed_output("small") as folder:
        (folder / ".lock").touch()
        raise UserError("refused after the lock was taken")
    assert folders() == []
    with pytest.raises(UserError), claimed_output("small") as folder:
        (folder / CONFIG).touch()
        raise UserError("failed in the middle")
    assert folders() == ["small"]


def test_resume_takes_the_last_that_has_begun(small, capsys):
    experiment = small(federation={"steps": 40})
    with pytest.raises(UserError, match=r"there is no run of 'small' under runs/; give --output"):
        train_run(experiment, options(resume=True))
    train_run(experiment, options())
    train_run(experiment, options())
    Path("runs/small-3").mkdir()  # claimed by a start that was killed
    assert latest_output("small", CONFIG) == Path("runs/small-2")
    assert train_run(experiment, options(resume=True)) == 0
    assert folders() == ["small", "small-2", "small-3"]


@pytest.mark.parametrize("blocked", ["file", "closed"])
def test_a_folder_that_cannot_be_made_is_one_line_without_an_option_nobody_gave(
    blocked, monkeypatch
):
    if blocked == "file":
        Path("runs").touch()
    else:

        def refuse(path, *arguments, **keys):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=r"^runs(/small)?: ") as told, claimed_output("small"):
        pass
    assert "\n" not in str(told.value)
