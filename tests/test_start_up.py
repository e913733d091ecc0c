"""Help and errors come at once: slow imports wait until a run begins.

Times depend on the machine, so the law is stated as what a process holds when it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import RoundOrder
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.backends.requests import Request
from fedrl_ray.federation.driver import Driver

SLOW = {
    "dash",
    "llvmlite",
    "mlflow",
    "numba",
    "optuna",
    "pandas",
    "plotly",
    "pyarrow",
    "ray",
    "scipy",
    "torch",
}
"""Each takes from a tenth of a second to seconds."""
NOT_IN_AN_ACTOR = ("pandas", "plotly", "ray.rllib", "ray.train", "ray.tune", "rich", "scipy.stats",
                   "tensorboardX", "typer")  # fmt: skip

PROGRAM = """
import atexit, json, os, sys
out = os.fdopen(os.dup(1), "w")  # a command sends descriptor 1 elsewhere
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=out, flush=True))
from fedrl_ray.cli.main import main
main()
"""


def imported(*arguments: object) -> tuple[int, str, set[str]]:
    """Return exit status and standard error of the command line, and the roots of its imports."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    modules = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, done.stderr, {name.split(".")[0] for name in modules}


@pytest.mark.parametrize("command", ["--help", "list"])
def test_help_imports_nothing_slow(command: str) -> None:
    status, _, roots = imported(command)
    assert status == 0
    assert "fedrl_ray" in roots and not roots & SLOW


MISTAKES = [
    ("train", ["learner.omgea=0.1"], "learner.omgea: unknown key"),
    ("train", ["learner"], "--set: must be key.subkey=value"),
    ("train", ["environment.name=pendulum"], "but pendulum is continuous"),
    ("train", ["environment.perturb.gravity=0.5"], "evaluation.grid: must be at least 5"),
    ("train", ["learner.name=fedrddpg", "learner.noise_sigma=-1"], "learner.noise_sigma: must"),
    ("train", ["environment.name=hopper", "learner.name=fedrddpg"], "no such parameter"),
    ("sweep", ["sweep.search.learner.omga=[0.0]"], "learner.omga: unknown key"),
]


@pytest.mark.parametrize(("command", "sets", "words"), MISTAKES)
def test_a_mistake_in_an_experiment_imports_nothing_slow(
    small_yaml: Any, tmp_path: Path, command: str, sets: list[str], words: str
) -> None:
    options = [part for text in sets for part in ("--set", text)]
    status, errors, roots = imported(command, small_yaml(), *options, "--output", tmp_path / "out")
    assert status == 2 and words in errors
    assert "fedrl_ray" in roots and not roots & SLOW


def test_a_file_that_is_not_there_imports_nothing_slow(tmp_path: Path) -> None:
    status, errors, roots = imported("train", tmp_path / "none.yaml")
    assert status == 2 and "no such file" in errors
    assert not roots & SLOW


@dataclass(frozen=True)
class ImportedModules(Request[list[str]]):
    """Request for the names of the modules that a worker's process has imported."""

    def apply(self, agents: LocalAgents) -> list[str]:
        """Return the names."""
        return sorted(sys.modules)


@pytest.mark.ray
def test_an_actor_that_has_learnt_holds_torch_and_nothing_of_the_command_line(
    local_ray: None, small: Any
) -> None:
    """An actor does not import what only the driver's grid of two perturbed parameters needs."""
    perturb = {"pole_length": 0.5, "gravity": 0.5}
    experiment = small(environment={"perturb": perturb}, evaluation={"grid": 5})
    order = RoundOrder.to(range(5), Driver(experiment).server.shared)
    backend = RayBackend(experiment.to_dict(), [(0, 1)], requests=[{"CPU": 0.1}], timeout=60.0)
    try:
        (reply,) = backend.run_round(order, [0])
        (modules,) = backend.call([0], ImportedModules())
    finally:
        backend.close()
    assert reply.agent_ids == (0, 1)
    assert isinstance(modules, list)
    assert "torch" in modules
    assert not [name for name in NOT_IN_AN_ACTOR if name in modules]
