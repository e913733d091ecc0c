"""One program at a time writes a run directory; leftovers of a killed start block nobody."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from fedrl_ray.common.errors import UserError
from fedrl_ray.export.evaluate import evaluate_run
from fedrl_ray.runs import run_directory
from fedrl_ray.runs.run import Run
from fedrl_ray.storage.locks import DirectoryLock
from fedrl_ray.sweeps import directory

TAKE = """
import multiprocessing, os, sys, time
from pathlib import Path
from fedrl_ray.storage.locks import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]), shown="x", doing="x", patience=0)
"""
HOLD = (
    TAKE
    + """
print("held", flush=True)
time.sleep(60)
"""
)
FORK = (
    TAKE
    + """
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
time.sleep(60)
"""
)
START_PROCESS = (
    TAKE
    + """
process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
process.start()
print(process.pid, flush=True)
time.sleep(60)
"""
)
RELEASE_IN_CHILD = (
    TAKE
    + """
if os.fork() == 0:
    lock.release()
    os._exit(0)
os.wait()
print("held", flush=True)
time.sleep(60)
"""
)


def lock(path, patience=0.0):
    return DirectoryLock(path, shown=str(path), doing="writing there", patience=patience)


def test_another_program_is_refused_until_the_first_is_gone(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"^--output {tmp_path}/run: another program is wri"):
            lock(tmp_path / "run")
        holder.kill()
    lock(tmp_path / "run").release()


def test_a_program_that_is_ending_is_waited_for(tmp_path):
    held = lock(tmp_path)
    threading.Timer(0.3, held.release).start()
    lock(tmp_path, patience=30.0).release()


@pytest.mark.parametrize("program", [FORK, START_PROCESS], ids=["os.fork", "multiprocessing"])
def test_a_forked_child_keeps_no_lock_of_a_killed_parent(tmp_path, program):
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        try:
            with pytest.raises(UserError, match="another program is writing there"):
                lock(tmp_path)
            parent.kill()
            parent.wait()
            lock(tmp_path, patience=10.0).release()
            os.kill(child, 0)  # raises if the child has ended, which would prove nothing
        finally:
            parent.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def test_a_forked_child_cannot_release_the_lock_of_its_parent(tmp_path):
    command = [sys.executable, "-c", RELEASE_IN_CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another program is writing there"):
            lock(tmp_path)
        parent.kill()
    lock(tmp_path, patience=10.0).release()


def test_the_program_that_holds_the_lock_cannot_take_it_twice(tmp_path):
    with lock(tmp_path), pytest.raises(UserError, match="another program is writing there"):
        lock(tmp_path)
    lock(tmp_path).release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_used_and_told(tmp_path, monkeypatch, caplog, number):
    def flock(file, operation):
        raise OSError(number, "no locks")

    monkeypatch.setattr("fcntl.flock", flock)
    lock(tmp_path).release()
    assert "knows no locks: let no other program write there" in caplog.text


def test_another_fault_of_the_file_system_is_told_in_one_line(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(UserError, match=rf"^--output {tmp_path}: Input/output error$"):
        lock(tmp_path)


def test_what_is_no_lock_is_told_in_one_line(tmp_path):
    (tmp_path / "a" / ".lock").mkdir(parents=True)
    with pytest.raises(UserError, match=rf"--output {tmp_path}/a: Is a directory"):
        lock(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=rf"--output {tmp_path}/b: "):
        lock(tmp_path / "b")
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_that_goes_on_is_not_resumed_beside_itself_but_read(small, tmp_path, monkeypatch):
    monkeypatch.setattr(run_directory, "PATIENCE", 0.0)
    monkeypatch.setattr(run_directory, "MORE_PATIENCE", 0.0)
    first = Run(small(federation={"steps": 40}), tmp_path / "run")
    for keys in ({"resume": True}, {"resume": True, "fall_back": True}):
        with pytest.raises(UserError, match=f"{tmp_path}/run: another program is writing there"):
            Run(first.experiment, tmp_path / "run", **keys)
    assert evaluate_run(tmp_path / "run", []).returns.size
    first.close()
    second = Run(first.experiment, tmp_path / "run", resume=True)
    second.detach().close()
    with pytest.raises(UserError, match="keys that differ: seed"):
        Run(small(federation={"steps": 40}, seed=4), tmp_path / "run", resume=True)
    Run(first.experiment, tmp_path / "run", resume=True).close()


def test_a_start_that_fails_lets_go(small, tmp_path, monkeypatch):
    monkeypatch.setattr(run_directory, "PATIENCE", 0.0)
    Run(small(federation={"steps": 40}), tmp_path / "run").close()
    manifest = tmp_path / "run" / "checkpoints" / "round_00000000" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text[:100])
    for _ in range(2):  # the same refusal again: not that of a lock left behind
        with pytest.raises(UserError, match=r"manifest\.json cannot be read"):
            Run(small(federation={"steps": 40}), tmp_path / "run", resume=True)
    manifest.write_text(text)
    Run(small(federation={"steps": 40}), tmp_path / "run", resume=True).close()


def test_what_a_killed_start_left_is_free(small, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (".config.yaml.partial", ".lock", ".fedrl-ray-0123"):
        (folder / name).touch()
    run_directory.require_free(folder)
    Run(small(federation={"steps": 20}), folder).close()
    with pytest.raises(UserError, match="already holds the experiment 'small'"):
        run_directory.require_free(folder)


def test_what_a_killed_sweep_left_is_free(tmp_path):
    for name in ("trials", "tune"):
        (tmp_path / name).mkdir()
    (tmp_path / ".sweep.yaml.partial").touch()
    directory.require_free(tmp_path)
    (tmp_path / "trials" / "of-something-else").mkdir()
    with pytest.raises(UserError, match="already holds files of something else"):
        directory.require_free(tmp_path)


def test_a_start_that_fails_before_it_has_begun_leaves_no_folder(small, tmp_path, monkeypatch):
    def no_memory(experiment, plan):
        raise MemoryError

    monkeypatch.setattr("fedrl_ray.federation.driver.build_backend", no_memory)
    with pytest.raises(MemoryError):
        Run(small(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
