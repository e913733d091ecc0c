"""Modules of users are found beside the experiment file, and hide none of Python's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fedrl_ray.common import modules
from fedrl_ray.common.errors import UserError
from fedrl_ray.config import loading
from fedrl_ray.sweeps import trackers
from tests.support.small import SMALL, merged

ROOT = Path(__file__).parents[2]
SPRING = "from tests.support.user_envs import SavingSpring as Mine\n"
HIDING = ["queue", "plotly", "profile", "typing_extensions", "yaml", "signal"]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    """Forget the modules and paths of a test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in [n for n in sys.modules.keys() - before if n.startswith("spring_of")]:
        del sys.modules[name]


def write(folder: Path, name: str, **changes: object) -> Path:
    """Write a module with an environment and an experiment that names it; return the experiment."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(SPRING)
    return write_experiment(folder, name, **changes)


def write_experiment(folder: Path, name: str, **changes: object) -> Path:
    environment = {
        "name": "gymnasium",
        "factory": f"{name}:Mine",
        "max_episode_steps": 50,
        "parameters": {"mass": {"target": "mass"}},
        "perturb": {"mass": 0.5},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(merged(SMALL, changes) | {"environment": environment}))
    return path


def test_a_run_remembers_where_its_modules_are(fedrl, monkeypatch, tmp_path):
    path, run = write(tmp_path / "project", "spring_of_a_run"), tmp_path / "run"
    for folder in ("begun", "elsewhere"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "begun")
    assert fedrl("train", path, "--output", run, "--quiet")[0] == 0
    recorded = yaml.safe_load((run / "config.yaml").read_text())["modules"]
    assert recorded == str(tmp_path / "project")
    forget("spring_of_a_run", recorded)
    monkeypatch.chdir(tmp_path / "elsewhere")
    status, out, err = fedrl("evaluate", run, "--json")
    assert status == 0, err
    assert (
        json.loads(out)["worst"]
        == json.loads((run / "summary.json").read_text())["evaluation"]["worst"]
    )


def forget(name: str, folder: str) -> None:
    """Let this process forget a module, as another process would not know it."""
    del sys.modules[name]
    sys.path.remove(folder)


def test_a_run_that_began_beside_its_modules_goes_on_elsewhere(fedrl, monkeypatch, tmp_path):
    """The modules are in the working directory of the beginning only."""
    write(tmp_path / "begun", "spring_of_the_beginning")
    path = write_experiment(tmp_path / "files", "spring_of_the_beginning")
    run = tmp_path / "run"
    monkeypatch.chdir(tmp_path / "begun")
    assert fedrl("train", path, "--output", run, "--quiet")[0] == 0
    forget("spring_of_the_beginning", str(tmp_path / "begun"))
    monkeypatch.chdir(tmp_path / "files")
    status, _, err = fedrl("train", path, "--output", run, "--quiet", "--resume")
    assert status == 0, err
    recorded = yaml.safe_load((run / "config.yaml").read_text())["modules"]
    assert recorded == str(tmp_path / "begun")


@pytest.mark.parametrize(
    ("given", "found"), [(None, "project"), ("../lib", "lib"), ("{}/lib", "lib")]
)
def test_the_key_modules_names_a_folder(monkeypatch, tmp_path, given, found):
    name = f"spring_of_{found}_{len(given or '')}"
    path = write(tmp_path / found, name)
    text = None if given is None else given.format(tmp_path)
    path = write_experiment(tmp_path / "project", name, modules=text)
    assert loading.load(path).modules == str(tmp_path / found)


def test_the_experiment_file_comes_before_the_working_directory(monkeypatch, tmp_path):
    path = write(tmp_path / "project", "spring_of_two")
    write(tmp_path / "here", "spring_of_two")
    monkeypatch.chdir(tmp_path / "here")
    modules.look_in_working_directory()
    assert loading.load(path).modules == str(tmp_path / "project")
    assert sys.modules["spring_of_two"].__file__ == str(tmp_path / "project" / "spring_of_two.py")


@pytest.mark.parametrize("name", ["queue", "plotly", "gymnasium"])
def test_modules_that_are_installed_are_recorded_nowhere(tmp_path, name):
    (tmp_path / f"{name}.py").touch()
    assert modules.folder_of_modules({"factory": f"{name}:make"}, tmp_path) is None


@pytest.mark.parametrize("start", [["-m", "fedrl_ray"],
                                   ["-c", "import sys; del sys.path[0]; "
                                    "from fedrl_ray.cli.main import main; main()"]])  # fmt: skip
def test_files_of_the_working_directory_hide_no_module(tmp_path, start):
    for name in HIDING:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('hidden')")
    path = write(tmp_path, "spring_of_files", federation={"steps": 40})
    done = subprocess.run(
        [sys.executable, *start, "train", str(path), "--output", "run", "--quiet"],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("name", ["wandb_of_logs", "mlflow_of_logs", "tensorboard_of_logs"])
def test_a_folder_of_logs_is_no_package(monkeypatch, tmp_path, name):
    (tmp_path / name / "run-1").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    assert not modules.is_installed(name)
    (tmp_path / name / "__init__.py").touch()
    assert modules.is_installed(name)


def test_a_tracker_that_is_only_a_folder_is_not_installed(monkeypatch, tmp_path, small):
    experiment = small(sweep={"search": {"learner.omega": [0.0]}}, trackers=["wandb"])
    (tmp_path / "wandb").mkdir()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UserError, match=r"trackers: wandb is not installed"):
        trackers.callbacks(experiment, tmp_path)
