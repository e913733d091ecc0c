"""The command line on malformed input, with its ends watched: time, memory, files."""

from __future__ import annotations

import contextlib
import io
import json
import re
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from fedrl_ray.cli import main
from fedrl_ray.config import loading
from fedrl_ray.dashboard.live import Live
from fedrl_ray.sweeps import directory
from fedrl_ray.sweeps.points import listed_names
from tests.support.foreign_policies import onnx_file
from tests.support.small import SMALL, merged

SECONDS = 60
"""Longer than any refusal, or any tiny run that is accepted, takes on a busy machine."""
MEMORY = 2 * 2**30
"""More than either needs."""

TINY = merged(
    SMALL,
    {
        "federation": {"num_agents": 2, "steps": 40, "sync_interval": 10},
        "learner": {"hidden_sizes": [4]},
        "evaluation": {"every": 20, "grid": 2, "episodes": 1, "perturb": {"pole_length": 0.3}},
        "checkpoint": {"every": 20},
        "aggregator": {"name": "mean"},
    },
)
SWEPT = TINY | {
    "sweep": {
        "search": {
            "learner.omega": [0.0, 0.3],
            "learner.learning_rate": {"loguniform": [1e-4, 1e-2]},
        },
        "seeds": 2,
        "samples": 2,
        "metric": "worst",
        "scheduler": {"name": "asha", "grace": 20, "reduction": 2},
        "searcher": "random",
        "max_failures": 1,
    }
}


class Ended(NamedTuple):
    """The end of a command: its status and its texts."""

    status: int
    out: str
    err: str


class Hang(BaseException):
    """Error of a command that is still running after SECONDS."""


def fedrl(*arguments: object) -> Ended:
    """Run the command line in this process; every exception but the program's end is raised."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv, list(sys.path)
    sys.argv = ["fedrl-ray", *map(str, arguments)]
    try:
        with bounded(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main.main()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.argv, sys.path[:] = before
    return Ended(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Raise Hang after SECONDS, and MemoryError if the block takes more than MEMORY."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGALRM, _hang)
    left, _ = signal.setitimer(signal.ITIMER_REAL, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left)  # pytest-timeout's own


def _hang(number: int, frame: Any) -> None:
    raise Hang


def require_refusal(ended: Ended) -> None:
    """Assert an error of one line with status 2 (or 1), and nothing else."""
    assert ended.status in (1, 2), ended
    assert ended.err.startswith("error: ") and not ended.out, ended
    line = ended.err.removesuffix("\n")
    assert line.isprintable() and len(line) < 3000, ended
    assert "not enough memory for this experiment" not in line, "it was tried before it was refused"


def tree(root: Path, *besides: Path) -> dict[str, Any]:
    """Return kind, size and time of every path below a folder, without some folders."""
    found: dict[str, Any] = {}
    for path in root.iterdir():
        if path in besides:
            continue
        stat = path.lstat()
        found[str(path)] = stat.st_mode, stat.st_size, stat.st_mtime_ns
        if path.is_dir() and not path.is_symlink():
            found |= tree(path, *besides)
    return found


SHARES = [pytest.param(0.15, id="some"), pytest.param(1.0, id="all", marks=pytest.mark.slow)]
"""Of the examples of each case."""


def case(cases: dict[str, Any], count: int, **drawn: Any) -> Any:
    """Put a check of `count` drawn values into a table."""

    def put(body: Any) -> Any:
        cases[body.__name__] = count, body, drawn
        return body

    return put


class Place:
    """A folder with the runs that are mutated, and with everything that must not change."""

    def __init__(self, root: Path) -> None:
        self.root, self.work = root, root / "work"
        self.work.mkdir()
        (root / "secret.txt").write_text("not to be touched")
        (root / "x").mkdir()
        self.experiment, self.run, self.out = (self.work / n for n in ("e.yaml", "run", "out"))
        self.good_run, self.good_sweep = root / "good-run", root / "good-sweep"
        self.good_experiment = root / "good.yaml"
        self.good_experiment.write_text(yaml.safe_dump(SWEPT))
        self.good_policy = onnx_file(root / "good.onnx")
        ended = fedrl("train", self.good_experiment, "--output", self.good_run, "--json")
        assert ended.status == 0, ended
        shutil.rmtree(self.good_run / "events")
        self._write_sweep()
        self.before = self._tree()

    def _write_sweep(self) -> None:
        experiment = loading.load(self.good_experiment)
        assert experiment.sweep is not None
        directory.write_sweep(self.good_sweep, experiment, experiment.sweep)
        listed = listed_names(experiment, experiment.sweep)
        trials = [directory.Trial(name, v.point, v.seed) for name, v in listed.items()][:4]
        trials[0] = trials[0]._replace(status="completed")
        trials[1] = trials[1]._replace(status="failed", reason="ValueError: no")
        directory.Ledger(self.good_sweep).put(*trials)
        for trial in trials[:2]:
            shutil.copytree(self.good_run, self.good_sweep / "trials" / trial.name)
        failure = self.good_sweep / "trials" / trials[1].name / directory.FAILURE
        failure.write_text(json.dumps({"reason": "ValueError: no", "traceback": "no"}))

    def _tree(self) -> dict[str, Any]:
        return tree(self.root, self.work)

    def fresh(self, kind: str = "run") -> Path:
        """Return a copy to be mutated."""
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.copytree(self.good_run if kind == "run" else self.good_sweep, self.run)
        return self.run

    def check(self, ended: Ended) -> bool:
        """Return True if the input was accepted; else assert one line and an unchanged place."""
        if ended.status:
            require_refusal(ended)
        known = {"e.yaml", "run", "out", "report.html"}
        assert {p.name for p in self.work.iterdir()} <= known
        assert self._tree() == self.before
        return ended.status == 0


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Place]:
    """Return a place, and make it the working directory."""
    with contextlib.chdir(root):
        place = Place(root)
        with contextlib.chdir(place.work):
            yield place


def run_examples(count: int, body: Any, place: Place, **drawn: Any) -> None:
    """Call `body(place, ...)` with the same draws each time."""
    configured = settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,  # `fedrl` has one, generous enough for a busy machine
        suppress_health_check=list(HealthCheck),
    )

    def example(**values: Any) -> None:
        body(place, **values)

    configured(given(**drawn)(example))()


def newest(run: Path) -> Path:
    return max((run / "checkpoints").iterdir())


def exported(place: Place) -> Ended:
    shutil.rmtree(place.out, ignore_errors=True)
    return fedrl("export", place.run, place.out, "--to", "torch")


def policy_scored(place: Place, content: bytes) -> Ended:
    """Return a folder with an ONNX file of this content."""
    shutil.rmtree(place.run, ignore_errors=True)
    place.run.mkdir()
    (place.run / "policy.onnx").write_bytes(content)
    return fedrl("evaluate", place.run, "--config", place.good_experiment, "--json")


def resumed(place: Place) -> Ended:
    """Resume for a little longer than the run went."""
    longer = ["--set", "federation.steps=50", "--resume", "--json"]
    return fedrl("train", place.good_experiment, "--output", place.run, *longer)


def scored(place: Place) -> Ended:
    return fedrl("evaluate", place.run, "--json")


def reported(place: Place) -> Ended:
    ended = fedrl("report", place.run, "--output", place.work / "report.html")
    return ended if ended.status else ended._replace(out="")


def shown(place: Place) -> Ended:
    """Read the page of the dashboard: the reader goes on after any error, and reports it."""
    live = Live([place.run])
    live.refresh()
    problem = live.snapshot().problem
    assert not re.match(r"[A-Z]\w+: ", problem), problem
    return Ended(2 if problem else 0, "", f"error: {problem}" if problem else "")


def swept(place: Place) -> Ended:
    """Run `sweep --resume` up to the lock, which another program holds; Ray is not started."""
    with directory.locked(place.run):
        ended = fedrl("sweep", place.good_experiment, "--output", place.run, "--resume")
    return ended if "another program is running this sweep" not in ended.err else Ended(0, "", "")
