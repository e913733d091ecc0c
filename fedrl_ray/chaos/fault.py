"""What a fault is, and what it can lay hands on."""

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
        """The process of a host of agents, by its place among the hosts."""
        return int(self.observer.workers[which]["pid"])


class Fault:
    """One way for a run to be disturbed; a subclass per file of `faults/`, found by its name.

    The first line of its docstring is what `fedrl-ray chaos --help` says of it.
    """

    settings: ClassVar[Sequence[str]] = ()
    """Keys that this fault needs, as for `--set`."""
    loses_agents: ClassVar[bool] = False
    """Whether agents are lost alone: then `continue` goes on without them, and other bits."""
    trace: ClassVar[str | None] = None
    """The event of log.jsonl that tells of it; None where the run itself cannot notice."""

    def prepare(self, scene: Scene) -> None:
        """Before the program starts."""

    def inject(self, scene: Scene) -> None:
        """Do the harm. Raises RunError where it cannot be done here."""
        raise NotImplementedError

    def repair(self, scene: Scene) -> list[str]:
        """What a user would do about it; the promises found broken."""
        return []

    def conclude(self, scene: Scene) -> list[str]:
        """After the run has ended: what is left to check; the promises found broken."""
        return []

    def clean(self, scene: Scene) -> None:
        """Undo what `prepare` did."""


def names() -> list[str]:
    """The faults there are."""
    return sorted(module.name for module in pkgutil.iter_modules(faults.__path__))


def load(name: str) -> type[Fault]:
    """The fault of a file in `faults/`. Raises UserError for a name that does not exist."""
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
    """A signal to a process that must be there. Raises RunError."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise RunError(f"process {pid} had gone before the fault") from None


def start_again(scene: Scene, *, within: float) -> list[str]:
    """The same command again, once the program has ended; what is broken where it has not."""
    if not scene.program.ends_within(within):
        scene.program.kill()
        return [f"the program did not end within {within:g} s"]
    scene.program.start()
    return []


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process held by SIGSTOP for the length of a block."""
    send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
