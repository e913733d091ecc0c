"""TensorBoard's curves: complete and without a duplicate, whatever happened to the run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tensorboardX import SummaryWriter

from fedrl_ray.federation.driver import Driver
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.tensorboard import TensorBoardWriter
from fedrl_ray.storage import checkpoints
from tests.support.event_files import curves
from tests.support.faulty_backend import FaultyBackend
from tests.support.runs import train

PACKED = {"federation": {"agents_per_actor": 2}}


@pytest.fixture
def undisturbed(small, tmp_path):
    """The curves of a run of 12 rounds, with checkpoints at rounds 4, 8 and 12."""
    train(small(**PACKED), tmp_path / "undisturbed")
    return curves(tmp_path / "undisturbed" / "events")


def killed_in_round(number: int, run: Run, copy: Path) -> None:
    """Leave in `copy` what a SIGKILL after some rounds would leave on the disk."""
    while run.driver.server.round < number:
        run.advance()
    shutil.copytree(run.directory, copy)
    run.close()


def resume(experiment, folder: Path, **keys) -> None:
    run = Run(experiment, folder, resume=True, **keys)
    list(run)
    run.finish()
    run.close()


def test_the_curves_are_those_of_metrics_and_evaluations(undisturbed):
    steps = [step for step, tag, _ in undisturbed if tag == "training/drift"]
    assert steps == [20 * number for number in range(1, 13)]
    assert [s for s, tag, _ in undisturbed if tag == "evaluation/worst"] == [80, 160, 240]


@pytest.mark.parametrize("number", [3, 4, 7, 8, 12])
def test_a_killed_and_resumed_run_has_every_point_once(small, tmp_path, undisturbed, number):
    experiment = small(**PACKED)
    killed_in_round(number, Run(experiment, tmp_path / "first"), tmp_path / "run")
    resume(experiment, tmp_path / "run")
    assert curves(tmp_path / "run" / "events") == undisturbed


def test_a_resume_from_an_older_checkpoint_has_every_point_once(small, tmp_path, undisturbed):
    experiment = small(**PACKED)
    killed_in_round(10, Run(experiment, tmp_path / "first"), tmp_path / "run")
    newest = checkpoints.existing(tmp_path / "run" / "checkpoints")[-1]
    (newest / "manifest.json").write_text("{")
    resume(experiment, tmp_path / "run", fall_back=True)
    assert curves(tmp_path / "run" / "events") == undisturbed


@pytest.mark.parametrize("lost", [{1: [0]}, {6: [1], 8: [2]}, {11: [0], 12: [0]}])
def test_a_run_that_was_rewound_has_every_point_once(small, tmp_path, undisturbed, lost):
    experiment = small(**PACKED)
    driver = Driver(experiment, directory=tmp_path / "run", backend=FaultyBackend(experiment, lost))
    train(experiment, tmp_path / "run", driver)
    assert curves(tmp_path / "run" / "events") == undisturbed


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-5], lambda data: data + b"x" * 40], ids=["cut", "garbage"]
)
def test_a_torn_end_is_dropped_and_what_follows_is_read(tmp_path, small, undisturbed, damage):
    experiment = small(**PACKED)
    killed_in_round(9, Run(experiment, tmp_path / "first"), tmp_path / "run")
    (file,) = (tmp_path / "run" / "events").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    resume(experiment, tmp_path / "run")
    found = curves(tmp_path / "run" / "events")
    steps = [step for step, tag, _ in found if tag == "training/drift"]
    assert len(steps) == len(set(steps)) and steps == sorted(steps)
    assert found == [point for point in undisturbed if point[0] in steps]
    assert steps[-4:] == [180, 200, 220, 240]


def test_what_an_earlier_version_hid_is_dropped(tmp_path):
    folder = tmp_path / "events"
    for suffix, purge, steps in (("a", None, (20, 40, 60)), ("b", 41, (60, 80)), ("c", 61, (80,))):
        with SummaryWriter(str(folder), purge_step=purge, filename_suffix=f".{suffix}") as writer:
            for step in steps:
                writer.add_scalar("training/drift", ord(suffix), step)
    a, b, c = map(ord, "abc")
    TensorBoardWriter(tmp_path, after=60).close()
    assert [(s, v) for s, _, v in curves(folder)] == [(20, a), (40, a), (60, b)]
    assert c not in [value for _, _, value in curves(folder)]


def test_many_resumes_within_a_second_lose_nothing(small, tmp_path, undisturbed):
    experiment = small(**PACKED)
    run = Run(experiment, tmp_path / "run")
    for _ in range(11):
        run.advance()
        run.finish()
        run.close()
        run = Run(experiment, tmp_path / "run", resume=True)
    list(run)
    run.finish()
    run.close()
    assert curves(tmp_path / "run" / "events") == undisturbed
    assert len(list((tmp_path / "run" / "events").iterdir())) == 1
