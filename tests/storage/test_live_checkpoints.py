"""Checkpoints are read while the run that owns them goes on training and deletes them."""

from __future__ import annotations

import shutil

import pytest

from fedrl_ray.common.errors import RunError, UserError
from fedrl_ray.export.evaluate import evaluate_run
from fedrl_ray.export.export_run import export_run
from fedrl_ray.export.trained import read_trained
from fedrl_ray.jobs import fetch as fetching
from fedrl_ray.jobs import pack
from fedrl_ray.reports.sources import find
from fedrl_ray.runs import run_directory
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import newest_checkpoint
from fedrl_ray.storage import checkpoints, digests
from fedrl_ray.storage.live_checkpoints import ATTEMPTS, read_live
from tests.jobs.test_fetch import bring


@pytest.fixture
def training(small, tmp_path):
    """A run that keeps one checkpoint and replaces it in every round; it has begun."""
    experiment = small(
        federation={"num_agents": 2, "steps": 10_000}, checkpoint={"every": 20, "keep": 1}
    )
    run = Run(experiment, tmp_path / "run")
    run.advance()
    yield run
    run.close()


READERS = {
    "evaluate": lambda run: evaluate_run(run, []).returns.size,
    "policy": lambda run: read_trained(run, None).manifest.round,
    "export": lambda run: export_run(run, run.parent / "out", to="torch", checkpoint=None),
}


@pytest.mark.parametrize("call", ["manifest", "server", "shard", "arrays"])
@pytest.mark.parametrize("reader", READERS)
def test_a_checkpoint_deleted_while_it_is_read_is_followed_by_the_newest(
    training, monkeypatch, reader, call
):
    """The run trains a round while the policy is read, so that the next file is gone."""
    module, name, number = {
        "manifest": (checkpoints, "read_manifest", 1),
        "server": (digests, "of_file", 1),
        "shard": (digests, "of_file", 2),
        "arrays": (checkpoints, "read_arrays", 1),
    }[call]
    original, calls, told = getattr(module, name), [], training.driver.server.round

    def meanwhile(*arguments):
        calls.append(arguments)
        if len(calls) == number:
            with monkeypatch.context() as undisturbed:
                undisturbed.setattr(module, name, original)
                training.advance()
        return original(*arguments)

    monkeypatch.setattr(module, name, meanwhile)
    assert READERS[reader](training.directory)
    assert training.driver.server.round == told + 1


def test_a_report_has_the_profile_of_a_run_that_trains(training, monkeypatch):
    original = run_directory.read_manifest

    def meanwhile(path):
        if training.driver.server.round == 1:
            training.advance()
        return original(path)

    monkeypatch.setattr(run_directory, "read_manifest", meanwhile)
    (run,) = find([training.directory]).runs
    assert run.profile and training.driver.server.round == 2


def test_a_checkpoint_that_is_torn_stays_refused(training):
    path = newest_checkpoint(training.directory)
    (path / "server.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"server\.safetensors is not what was written"):
        evaluate_run(training.directory, [])


def test_a_round_that_is_gone_is_told_with_those_that_are_there(training, monkeypatch):
    number, original = training.driver.server.round, checkpoints.verify

    def meanwhile(path):
        monkeypatch.undo()
        training.advance()
        return original(path)

    monkeypatch.setattr(checkpoints, "verify", meanwhile)
    with pytest.raises(UserError, match=rf"--checkpoint: must be .*\({number + 1}\); got {number}"):
        read_trained(training.directory, number)


def test_checkpoints_that_are_deleted_faster_than_they_are_read_end_it(tmp_path):
    tried = []

    def choose():
        path = tmp_path / str(len(tried))
        path.mkdir()
        return path

    def read(path):
        tried.append(path)
        path.rmdir()
        raise UserError("torn")

    with pytest.raises(RunError, match="deletes its checkpoints faster than they are read"):
        read_live(choose, read)
    assert len(tried) == ATTEMPTS


def test_half_a_checkpoint_never_has_the_name_of_one(training, monkeypatch):
    """A program that is killed while it removes a checkpoint leaves it under another name."""
    folder = training.directory / "checkpoints"
    (newest,) = checkpoints.existing(folder)
    shutil.copytree(newest, checkpoints.path_of(folder, 0))
    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", lambda path, **keys: None)
        checkpoints.prune(folder, 1)
    assert sorted(p.name for p in folder.iterdir()) == [".round_00000000.old", newest.name]
    assert checkpoints.existing(folder) == [newest]
    training.advance()
    assert [p.name for p in folder.iterdir()] == ["round_00000002"]


def test_what_fetch_brings_of_a_run_that_trains_holds_no_torn_checkpoint(
    small, tmp_path, monkeypatch
):
    experiment = small(checkpoint={"every": 20, "keep": 2})
    run = Run(experiment, tmp_path / "run")
    run.advance()
    run.advance()
    original = fetching.shutil.copyfile

    def meanwhile(source, target):
        if source.name.startswith("agents") and run.driver.server.round == 2:
            run.advance()
        return original(source, target)

    monkeypatch.setattr(fetching.shutil, "copyfile", meanwhile)
    bring(tmp_path / "run", tmp_path / "here")
    assert run.driver.server.round == 3
    run.close()
    (found,) = checkpoints.existing(tmp_path / "here" / pack.CHECKPOINTS)
    assert checkpoints.verify(found).round == 2
    assert evaluate_run(tmp_path / "here", []).returns.size
