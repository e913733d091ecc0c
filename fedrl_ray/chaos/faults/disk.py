"""The fault `disk`: the disk of the results is full."""

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
"""Seconds in which the run must stop: it may write its next file a long round later."""


class DiskFull(Fault):
    """Fill the disk of the results, then make room and give the same command again.

    The run must stop with one line of error, and the second command must go on. The output lies on
    a small tmpfs, which is filled. If no tmpfs can be mounted, a limit (RLIMIT_FSIZE) forbids the
    writing processes longer files.
    """

    trace = "resumed"

    def __init__(self) -> None:
        self._mounted = False

    def prepare(self, scene: Scene) -> None:
        """Mount a tmpfs at the output, if this user may."""
        scene.output.mkdir(parents=True)
        e = scene.experiment
        size = 2**26 + 2 * (e.checkpoint.keep + 2) * e.federation.num_agents * state_bytes(e)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(scene.output)]
        done = subprocess.run(command, capture_output=True, check=False)
        self._mounted = done.returncode == 0

    def inject(self, scene: Scene) -> None:
        """Fill the tmpfs, or limit the size of files."""
        if self._mounted:
            with _stopped(scene.cluster.processes(DRIVER)):  # a short run would end meanwhile
                _fill(scene.output / FILLER)
        else:
            for title in (AGENTS, DRIVER):
                for pid in scene.cluster.processes(title):
                    _limit(pid, (scene.output / "metrics.jsonl").stat().st_size)

    def repair(self, scene: Scene) -> list[str]:
        """Check that the run stops with one line, make room, and give the command again."""
        ended = scene.program.ends_within(SECONDS)
        status, words = scene.program.status, scene.program.output().splitlines()
        (scene.output / FILLER).unlink(missing_ok=True)
        errors = [line for line in words if line.startswith("error:")]
        broken = []
        if not ended or status != 1 or len(errors) != 1 or errors != words[-1:]:
            broken.append(
                f"a full disk must stop the run with status 1 and one line; got status {status}: "
                f"{words[-3:]}"
            )
        return broken + start_again(scene, within=1.0)

    def clean(self, scene: Scene) -> None:
        """Unmount the tmpfs and keep the run's files in its place."""
        if self._mounted:
            kept = scene.output.with_name(f".{scene.output.name}.kept")
            with contextlib.suppress(OSError):  # a run that failed may still be writing
                shutil.copytree(scene.output, kept, ignore=shutil.ignore_patterns(FILLER))
            subprocess.run(["umount", "-l", str(scene.output)], capture_output=True, check=True)
            scene.output.rmdir()
            kept.rename(scene.output)


@contextlib.contextmanager
def _stopped(pids: Sequence[int]) -> Iterator[None]:
    """Hold processes by SIGSTOP while the context lasts."""
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
        while True:  # other files may have freed blocks meanwhile
            file.seek(0, os.SEEK_END)
            file.write(bytes(4096))


def _limit(pid: int, size: int) -> None:
    with contextlib.suppress(ProcessLookupError, psutil.Error):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
