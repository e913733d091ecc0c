"""The disk of the results is full."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from ...backends.memory_estimate import state_bytes
from ..fault import Fault, Scene, start_again
from ..leftovers import AGENTS, DRIVER

FILLER = "filler"
SECONDS = 120.0
"""The next file that the run writes may be a long round away."""


class DiskFull(Fault):
    """A full disk stops the run with one line; with room again the same command goes on.

    The output lies on a small tmpfs that is filled. Where none may be mounted, the writing
    processes may make no file longer (RLIMIT_FSIZE).
    """

    trace = "resumed"

    def __init__(self) -> None:
        self._mounted = False

    def prepare(self, scene: Scene) -> None:
        scene.output.mkdir(parents=True)
        e = scene.experiment
        size = 2**26 + 2 * (e.checkpoint.keep + 2) * e.federation.num_agents * state_bytes(e)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(scene.output)]
        done = subprocess.run(command, capture_output=True, check=False)
        self._mounted = done.returncode == 0

    def inject(self, scene: Scene) -> None:
        if self._mounted:
            with _stopped(scene.cluster.processes(DRIVER)):  # short runs end while it fills
                _fill(scene.output / FILLER)
        else:
            for title in (AGENTS, DRIVER):
                for pid in scene.cluster.processes(title):
                    _limit(pid, (scene.output / "metrics.jsonl").stat().st_size)

    def repair(self, scene: Scene) -> list[str]:
        ended = scene.program.ends_within(SECONDS)
        status, words = scene.program.status, scene.program.output().splitlines()
        (scene.output / FILLER).unlink(missing_ok=True)
        errors = [line for line in words if line.startswith("error:")]
        broken = []
        if not ended or status != 1 or len(errors) != 1 or errors != words[-1:]:
            broken.append(f"a full disk must stop it with one line, got {status}: {words[-3:]}")
        return broken + start_again(scene, within=1.0)

    def clean(self, scene: Scene) -> None:
        if self._mounted:
            kept = scene.output.with_name(f".{scene.output.name}.kept")
            with contextlib.suppress(OSError):  # a run that failed may still be writing
                shutil.copytree(scene.output, kept, ignore=shutil.ignore_patterns(FILLER))
            subprocess.run(["umount", "-l", str(scene.output)], capture_output=True, check=True)
            scene.output.rmdir()
            kept.rename(scene.output)


@contextlib.contextmanager
def _stopped(pids: Sequence[int]) -> Iterator[None]:
    """These processes do nothing meanwhile."""
    try:
        _signal(pids, signal.SIGSTOP)
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        room = os.statvfs(path.parent)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
        while True:  # what other files have taken or given back meanwhile
            file.seek(0, os.SEEK_END)
            file.write(bytes(4096))


def _limit(pid: int, size: int) -> None:
    with contextlib.suppress(ProcessLookupError, psutil.Error):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
