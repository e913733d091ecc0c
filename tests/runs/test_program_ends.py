"""The user's code that would end the program is an error: status 1, and the run can be resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import RoundOrder, WorkerFailure
from fedrl_ray.backends.plan import make_plan
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.backends.ray_worker import RayWorker
from fedrl_ray.backends.requests import RunRound
from fedrl_ray.common.errors import RunError, UserError
from fedrl_ray.common.exits import StopAtOnce, exits_as_errors
from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from fedrl_ray.federation.driver import Driver
from fedrl_ray.runs.remote_run import DriverActor
from fedrl_ray.runs.run import Run
from tests.support.runs import digests, train
from tests.support.small import SMALL, merged

WAYS = [("sys.exit", "SystemExit(0)"), ("exit", "SystemExit(None)"), ("await", "CancelledError()")]


def ending(flag: Path, way: str = "sys.exit") -> dict[str, Any]:
    """Return an environment that ends the program while the file `flag` exists."""
    return {
        "name": "gymnasium",
        "factory": "tests.support.user_envs:EndingSpring",
        "max_episode_steps": 50,
        "kwargs": {"flag": str(flag), "way": way},
        "parameters": {"mass": {"target": "mass"}},
        "perturb": {"mass": 0.5},
    }


def spring(environment: dict[str, Any], **changes: Any) -> Experiment:
    """Return the small experiment on another environment."""
    return from_dict(merged(SMALL, changes) | {"environment": environment})


@pytest.mark.parametrize(("way", "words"), WAYS)
def test_a_run_whose_environment_ends_the_program_is_resumed_exactly(tmp_path, way, words):
    flag, folder = tmp_path / "flag", tmp_path / "run"
    experiment = spring(ending(flag, way))
    expected = digests(train(experiment, tmp_path / "whole"))
    run = Run(experiment, folder)
    run.advance()
    flag.touch()
    with pytest.raises(RunError) as error:
        run.advance()
    run.close(at_once=True)
    first, *lines = str(error.value).splitlines()
    assert first.startswith(f"agent 0 raised: {words} in end, ") and "user_envs.py" in first
    assert lines[0].startswith("Traceback") and "self.end()" in str(error.value)
    flag.unlink()
    again = Run(experiment, folder, resume=True)
    list(again)
    assert digests(again.finish()) == expected
    again.close()


def test_an_evaluation_that_ends_the_program_is_an_error_in_the_log(tmp_path):
    flag = tmp_path / "flag"
    experiment = spring(ending(flag), evaluation={"every": None})
    run = Run(experiment, tmp_path / "run")
    while run.driver.server.round < experiment.rounds - 1:
        run.advance()
    driver_step = run.driver.step

    def then_end() -> Any:
        report = driver_step()
        flag.touch()
        return report

    run.driver.step = then_end
    with pytest.raises(RunError, match=r"SystemExit\(0\) in end"):
        run.advance()
    run.close()
    events = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "failed" and "SystemExit(0)" in events[-1]["reason"]


@pytest.mark.parametrize(("way", "words"), WAYS)
def test_a_trial_that_ends_the_program_gives_status_1(fedrl, tmp_path, way, words):
    flag = tmp_path / "flag"
    flag.touch()
    path = tmp_path / "ending.yaml"
    path.write_text(yaml.safe_dump(SMALL | {"environment": ending(flag, way)}))
    status, out, err = fedrl("train", path, "--output", tmp_path / "run")
    assert status == 1 and not out
    assert err.startswith(f"error: {words} in end, ") and "Traceback" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("way", "words"), WAYS)
def test_actors_return_the_error_and_stay_alive(tmp_path, way, words):
    """Both classes of actors are plain Python, so no Ray is needed."""
    flag = tmp_path / "flag"
    experiment = spring(ending(flag, way))
    order = RoundOrder.to(range(5), Driver(experiment).server.shared)
    worker = RayWorker(LocalAgents, experiment.to_dict(), range(5))
    driver = DriverActor(experiment.to_dict(), str(tmp_path / "run"), make_plan(experiment), {})
    assert driver.start().run_error is None
    flag.touch()
    failure, answer = worker.handle(RunRound(order)), driver.advance()
    assert isinstance(failure, WorkerFailure) and failure.kind == "exception"
    assert failure.agent_ids == (0,) and failure.reason.startswith(f"{words} in end, ")
    assert answer.run_error is not None and f"{words} in end, " in answer.run_error
    flag.unlink()
    assert worker.handle(RunRound(order)).agent_ids == tuple(range(5))
    driver.close()


@pytest.mark.ray
def test_a_worker_whose_process_is_ended_counts_as_dead(local_ray, tmp_path):
    flag = tmp_path / "flag"
    experiment = spring(ending(flag, "os._exit"), federation={"max_rewinds": 0})
    ids = tuple(range(5))
    backend = RayBackend(experiment.to_dict(), [ids], requests=[{"CPU": 0.1}], timeout=60)
    driver = Driver(experiment, directory=tmp_path / "run", backend=backend)
    driver.save()
    flag.touch()
    with pytest.raises(RunError, match=r"max_rewinds is 0.*; the last: agents 0-4 died"):
        driver.step()
    driver.close()


@pytest.mark.parametrize("signal", [KeyboardInterrupt(), StopAtOnce(15)])
def test_what_the_user_asks_for_ends_the_program(signal):
    with pytest.raises(type(signal)), exits_as_errors():
        raise signal


@pytest.mark.parametrize("value", ["1", "2", "yes"])
def test_a_compiler_that_is_switched_off_is_one_line(small, tmp_path, monkeypatch, value):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", value)
    with pytest.raises(UserError, match="NUMBA_DISABLE_JIT: must be unset or 0") as error:
        Run(small(), tmp_path / "run")
    assert "--set learner.compiled=false" in str(error.value) and "\n" not in str(error.value)
    Driver(small(learner={"compiled": False})).close()
