"""`fedrl-ray new`: the starter project trains as it is, and nothing of the user is overwritten."""

from __future__ import annotations

import json
import py_compile
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fedrl_ray.cli.new import STARTER, files
from fedrl_ray.config.build import build_family
from fedrl_ray.config.loading import load
from fedrl_ray.sweeps.validation import require_sweep
from tests.support.command_line import run_command


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """Make a starter project, go into it and return it. It was written by the command."""
    py_compile.compile(str(STARTER / "my_environment.py"))  # pip does so when it installs a wheel
    assert run_command("new", tmp_path / "a" / "b") == 0
    assert (
        f"cd {tmp_path / 'a' / 'b'} && fedrl-ray train experiment.yaml" in capsys.readouterr().out
    )
    monkeypatch.chdir(tmp_path / "a" / "b")
    return tmp_path / "a" / "b"


def test_the_project_has_an_environment_an_experiment_a_sweep_and_a_readme(project: Path) -> None:
    names = ["README.md", "experiment.yaml", "my_environment.py", "sweep.yaml"]
    assert files() == names
    assert sorted(path.name for path in project.iterdir()) == names  # nothing that pip compiled


def test_the_project_trains_at_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("federation.steps=400", "federation.backend=in_process", "learner.learning_starts=50")
    sets = [part for text in few for part in ("--set", text)]
    assert run_command("train", "experiment.yaml", *sets) == 0
    out, err = capsys.readouterr()
    run = project / "runs" / "my-experiment"
    assert "resume is not exact" not in err and f"report   {run.relative_to(project)}" in out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["status"] == "completed" and len(summary["evaluation"]["returns"]) == 8
    assert len(set(summary["evaluation"]["returns"])) > 1  # the mass changes something
    assert (run / "report.html").exists()


def test_the_sweep_is_the_experiment_with_a_search(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project)
    experiment, sweep = load("experiment.yaml"), load("sweep.yaml")
    require_sweep(sweep)
    for section in ("federation", "learner", "environment"):
        assert getattr(sweep, section) == getattr(experiment, section)
    assert "resume" not in build_family(experiment).exemptions
    del sys.modules["my_environment"]


def holds_a_file(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").touch()


def holds_a_hidden_file(folder: Path) -> None:
    folder.mkdir()
    (folder / ".git").mkdir()


def is_a_file(folder: Path) -> None:
    folder.touch()


def is_a_link_to_nothing(folder: Path) -> None:
    folder.symlink_to("nowhere")


TAKEN: list[tuple[Callable[[Path], None], str]] = [
    (holds_a_file, "must be a new or an empty folder; it holds 'thesis.tex'"),
    (holds_a_hidden_file, "must be a new or an empty folder; it holds '.git'"),
    (is_a_file, "must be a new or an empty folder; it is a file"),
    (is_a_link_to_nothing, "File exists"),
]


@pytest.mark.parametrize(("prepare", "words"), TAKEN)
def test_a_folder_that_is_taken_is_refused_in_one_line(
    prepare: Callable[[Path], None],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "mine"
    prepare(folder)
    before = sorted(tmp_path.rglob("*"))
    assert run_command("new", folder) == 2
    assert capsys.readouterr().err == f"error: {folder}: {words}\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run_command("new", tmp_path / "file" / "mine") == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/file/mine: Not a directory\n"


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_command("new", "~/mine") == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == files()


def test_an_empty_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command("new", ".") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == files()
