"""The projects of examples/ run as they are, on few steps, and their physics is right."""

from __future__ import annotations

import importlib
import json
import math
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fedrl_ray.config.build import build_family
from fedrl_ray.config.loading import load
from tests.support.command_line import run_command

EXAMPLES = Path(__file__).parents[2] / "examples"
PROJECTS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
IN_PROCESS = "federation.backend=in_process"

Enter = Callable[[str], Path]


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Return a function that copies a project, goes into the copy and returns its path."""

    def copy(name: str) -> Path:
        folder = tmp_path / name
        ignored = shutil.ignore_patterns("__pycache__", "runs")
        shutil.copytree(EXAMPLES / name, folder, ignore=ignored)
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)
        for module in folder.glob("*.py"):  # imported anew, and forgotten afterwards
            monkeypatch.setitem(sys.modules, module.stem, ModuleType(module.stem))
            del sys.modules[module.stem]
        return folder

    return copy


def train(*sets: str, output: str = "runs/short", resume: bool = False) -> dict[str, Any]:
    """Train `experiment.yaml` by the command line and return the summary."""
    options = [part for text in sets for part in ("--set", text)]
    options += ["--resume"] if resume else []
    assert run_command("train", "experiment.yaml", "--quiet", "--output", output, *options) == 0
    summary: dict[str, Any] = json.loads(Path(output, "summary.json").read_text())
    assert summary["status"] == "completed"
    assert np.isfinite(summary["evaluation"]["returns"]).all()
    return summary


def test_every_project_is_in_the_index_and_has_a_page() -> None:
    index = (EXAMPLES / "README.md").read_text()
    assert sorted(re.findall(r"^\| \[(\w+)\]\(\1/README\.md\)", index, re.MULTILINE)) == PROJECTS
    assert all((EXAMPLES / name / "README.md").exists() for name in PROJECTS)


# -- servo -------------------------------------------------------------------------------------


def test_the_servos_train_and_resume_with_the_same_bits(enter: Enter) -> None:
    enter("servo")
    few = ("learner.learning_starts=40", "evaluation.episodes=1", "checkpoint.every=100")
    whole = train("federation.steps=200", IN_PROCESS, *few, output="runs/whole")
    train("federation.steps=100", IN_PROCESS, *few, output="runs/parts")
    again = train("federation.steps=200", IN_PROCESS, *few, output="runs/parts", resume=True)
    assert again["state_digest"] == whole["state_digest"]
    assert len(set(whole["evaluation"]["returns"])) == 9


def test_a_servo_saves_the_current_and_its_generator(enter: Enter) -> None:
    enter("servo")
    servo = importlib.import_module("servo")
    first, second = servo.Servo(), servo.Servo()
    first.reset(seed=0), second.reset(seed=1)
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 1)).astype(np.float32)
    for action in actions[:20]:
        first.step(action)
    second.set_state(first.get_state())
    assert [first.step(a)[1] for a in actions[20:]] == [second.step(a)[1] for a in actions[20:]]
    assert build_family(load("experiment.yaml")).exemptions == {}


def test_a_servo_settles_at_the_speed_of_the_motors_equations(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter("servo")
    servo = importlib.import_module("servo")
    monkeypatch.setattr(servo, "GUST", 0.0)
    env = servo.Servo(payload=0.0)
    env.reset(seed=0)
    for _ in range(500):
        env.step(np.array([0.5], np.float32))
    voltage, k, r, b = 3.0, servo.MOTOR, env.resistance, servo.FRICTION
    assert env.speed == pytest.approx(k * voltage / (k**2 + r * b))
    assert env.current == pytest.approx(b * env.speed / k)


def test_no_derived_value_of_a_servo_is_stale(enter: Enter) -> None:
    enter("servo")
    servo = importlib.import_module("servo")
    built, changed = servo.Servo(payload=0.5), servo.Servo()
    changed.payload = 0.5
    for env in (built, changed):
        env.reset(seed=0)
    action = np.array([0.3], np.float32)
    assert [built.step(action)[1] for _ in range(30)] == [
        changed.step(action)[1] for _ in range(30)
    ]
    assert built.inertia == pytest.approx(servo.ROTOR + 0.5 * servo.ARM**2)


# -- buildings ---------------------------------------------------------------------------------


def test_the_buildings_train_and_the_worst_has_a_name(
    enter: Enter, capsys: pytest.CaptureFixture[str]
) -> None:
    enter("buildings")
    few = ("federation.steps=100", "learner.learning_starts=40", "evaluation.episodes=1")
    summary = train(IN_PROCESS, *few)
    returns = summary["evaluation"]["returns"]
    assert len(set(returns)) == 5 and sum(summary["packing"]) == 4
    names = list(load("experiment.yaml").evaluation.environments or {})
    assert f"worst at environment {names[int(np.argmin(returns))]}" in re.sub(
        r"worst +\S+ +at", "worst at", capsys.readouterr().out
    )


def test_a_building_settles_at_the_temperature_of_its_conductances(enter: Enter) -> None:
    """The heater's power flows out through the windows, and through both sides of the walls."""
    enter("buildings")
    building = importlib.import_module("building")
    for kind, walls in building.KINDS.items():
        env = building.Building(walls=kind, outside=[5.0] * 4)
        env.reset(seed=0)
        for _ in range(8_000):
            env.step(1)
        through_walls = 1 / (1 / walls.inner + 1 / walls.outer)
        warmer = building.HEATER / 2 / (building.WINDOWS + through_walls)
        assert env.room == pytest.approx(5.0 + warmer)
        assert env.wall == pytest.approx(5.0 + warmer * through_walls / walls.outer)


def test_the_weather_of_a_building_goes_round_the_clock(enter: Enter) -> None:
    enter("buildings")
    env = importlib.import_module("building").Building(outside=[0.0, 6.0, 12.0, 6.0])
    temperatures = []
    for env.hour in (0.0, 3.0, 12.0, 21.0, 24.0, 27.0):
        temperatures.append(env.weather())
    assert temperatures == pytest.approx([0.0, 3.0, 12.0, 3.0, 0.0, 3.0])


def test_a_building_saves_all_that_a_step_changes(enter: Enter) -> None:
    enter("buildings")
    building = importlib.import_module("building")
    first, second = building.Building(), building.Building()
    first.reset(seed=0), second.reset(seed=1)
    for _ in range(10):
        first.step(2)
    second.set_state(first.get_state())
    assert [first.step(1)[1] for _ in range(20)] == [second.step(1)[1] for _ in range(20)]
    assert build_family(load("experiment.yaml")).exemptions == {}


# -- rllib_user --------------------------------------------------------------------------------


@pytest.mark.parametrize("half_length", [0.25, 0.5, 0.75])
def test_the_registered_cartpole_has_the_physics_of_its_length(
    enter: Enter, half_length: float
) -> None:
    """One Euler step of Gymnasium's equations, with the pole turning."""
    enter("rllib_user")
    env = importlib.import_module("my_env").make({"half_length": half_length})
    env.reset(seed=0)
    x_dot, theta, theta_dot = 0.1, 0.15, 1.5
    env.unwrapped.state = np.array([0.0, x_dot, theta, theta_dot])
    obs = env.step(1)[0]
    force, gravity, pole, total, tau = 10.0, 9.8, 0.1, 1.1, 0.02
    sin, cos = math.sin(theta), math.cos(theta)
    push = (force + pole * half_length * theta_dot**2 * sin) / total
    turn = (gravity * sin - cos * push) / (half_length * (4 / 3 - pole * cos**2 / total))
    assert obs[3] == pytest.approx(theta_dot + tau * turn, rel=1e-5)
    assert obs[1] == pytest.approx(x_dot + tau * (push - pole * half_length * turn * cos / total),
                                   rel=1e-5)  # fmt: skip


def run_script(*words: str) -> None:
    """Run `python SCRIPT ARGUMENTS` in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(words))
        runpy.run_path(words[0], run_name="__main__")


FEW = (
    IN_PROCESS, "federation.num_agents=2", "federation.steps=200", "learner.iteration_steps=100",
    "learner.config.minibatch_size=50", "learner.config.num_epochs=1",
)  # fmt: skip


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_the_ppo_of_an_rllib_user_trains(enter: Enter) -> None:
    enter("rllib_user")
    assert len(set(train(*FEW)["evaluation"]["returns"])) > 1


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_the_policy_of_an_rllib_user_goes_back_to_rllib(
    enter: Enter, capsys: pytest.CaptureFixture[str]
) -> None:
    enter("rllib_user")
    train(*FEW)
    assert run_command("export", "runs/short", "exported", "--to", "rllib") == 0
    capsys.readouterr()
    run_script("act.py", "exported", "0.75")
    assert re.fullmatch(r"return [\d.]+ with a half-length of 0.75 m\n", capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_the_script_of_an_rllib_user_runs(enter: Enter, capsys: pytest.CaptureFixture[str]) -> None:
    enter("rllib_user")
    run_script("alone.py", "1")
    assert float(capsys.readouterr().out.split()[-1]) > 0
