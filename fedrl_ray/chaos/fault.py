"""Base class of faults, and the run that a fault disturbs."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import pkgutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..common.errors import RunError, UserError
from ..common.spelling import nearest
from ..config.schema import Experiment
from . import faults
from .local_cluster import LocalCluster
from .observer import Observer
from .program import Program


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A run on a cluster, for a fault to disturb."""

    experiment: Experiment
    cluster: LocalCluster
    program: Program
    observer: Observer
    output: Path

    def agents_pid(self, which: int = -1) -> int:
        """Return the process id of a worker, by its place among the workers."""
        return int(self.observer.workers[which]["pid"])


class Fault:
    """One way to disturb a run. Each file of `faults/` has one subclass and gives it its name.

    `fedrl-ray list` prints the first line of the subclass's docstring.
    """

    settings: ClassVar[Sequence[str]] = ()
    """Overrides that the fault needs, in the form of `--set`."""
    loses_agents: ClassVar[bool] = False
    """True if the fault ends workers but not the driver. Under `continue` the run then goes on
    without their agents and ends with other bits."""
    trace: ClassVar[str | None] = None
    """Event of log.jsonl that reports the fault; None if the run cannot notice it."""

    def prepare(self, scene: Scene) -> None:
        """Prepare the scene before the program starts."""

    def inject(self, scene: Scene) -> None:
        """Disturb the run. Raise RunError if that is impossible here."""
        raise NotImplementedError

    def repair(self, scene: Scene) -> list[str]:
        """Do what a user would do after the fault. Return the promises that were broken."""
        return []

    def conclude(self, scene: Scene) -> list[str]:
        """Check the rest after the end of the run. Return the promises that were broken."""
        return []

    def clean(self, scene: Scene) -> None:
        """Undo the preparations."""


def names() -> list[str]:
    """Return the names of all faults."""
    return sorted(module.name for module in pkgutil.iter_modules(faults.__path__))


def load(name: str) -> type[Fault]:
    """Return the fault of a file in `faults/`. Raise UserError if there is no such file."""
    if name not in names():
        raise UserError(
            f"--faults: no fault is called {name!r}{nearest(name, names())}; "
            f"known: {', '.join(names())}"
        )
    module = importlib.import_module(f"{faults.__name__}.{name}")
    (found,) = (
        c
        for c in vars(module).values()
        if inspect.isclass(c) and issubclass(c, Fault) and c.__module__ == module.__name__
    )
    fault: type[Fault] = found
    return fault


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process. Raise RunError if the process has ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise RunError(f"process {pid} had ended before the fault") from None


def start_again(scene: Scene, *, within: float) -> list[str]:
    """Give the same command again once the program has ended.

    If it does not end within `within` seconds, kill it and return the broken promise.
    """
    if not scene.program.ends_within(within):
        scene.program.kill()
        return [f"the program did not end within {within:g} s"]
    scene.program.start()
    return []


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Hold a process by SIGSTOP while the context lasts."""
    send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
