"""A preset is found by its name, from any folder and in every command that takes a file."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from fedrl_ray.chaos.campaign import Chaos, ChaosOptions
from fedrl_ray.common.errors import UserError
from fedrl_ray.config.loading import load
from fedrl_ray.config.presets import experiment_file, presets
from fedrl_ray.export.evaluate import evaluate_policy
from fedrl_ray.jobs.submission import Submission
from fedrl_ray.jobs.submission import load as load_submission
from tests.support.command_line import run_command
from tests.support.presets import PRESETS

NAME = "cartpole-fedrdqn"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_experiment_file_is_a_preset_from_any_folder() -> None:
    assert presets() == PRESETS and len(PRESETS) > 30
    for name, path in PRESETS.items():
        assert experiment_file(name).samefile(path)


def test_a_name_loads_what_its_file_holds() -> None:
    sets = ["learner.omega=0.3"]
    assert load(NAME, sets) == load(PRESETS[NAME], sets)


def test_train_takes_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["federation.steps=1000", "evaluation.grid=2", "evaluation.episodes=1"]
    options = [part for text in sets for part in ("--set", text)]
    status = run_command("train", "windy_cliff-fedrq", *options, "--json")
    assert status == 0 and json.loads(capsys.readouterr().out)["status"] == "completed"
    assert (tmp_path / "runs" / "windy_cliff-fedrq" / "config.yaml").exists()


def test_sweep_takes_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("sweep", "sweep-cartpole-quick", "--set", "sweep.seeds=0") == 2
    assert "error: sweep-cartpole-quick: sweep.seeds: must be" in capsys.readouterr().err


def test_submit_takes_a_name() -> None:
    wanted = Submission(
        config=NAME, overrides=[], storage="/s", sweep=False, image=False, job_id=None, include=[]
    )
    assert load_submission(wanted) == load(PRESETS[NAME])


def test_chaos_takes_a_name() -> None:
    options = ChaosOptions(
        config=NAME, overrides=["learner.omga=0"], cases=[], nodes=2, output=None
    )
    with pytest.raises(UserError, match=f"{NAME}: learner.omga: unknown key"):
        Chaos(options)


def test_evaluate_takes_a_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{NAME}: evaluation.where: must be driver"):
        evaluate_policy(tmp_path, NAME, ["evaluation.where=none"], trust_pickle=False)


UNKNOWN = {
    "cartpole-fedrqdn": "(nearest: cartpole-fedrdqn, ",
    "pendulum": "(nearest: sweep-pendulum, pendulum-ddpgavg, pendulum-fedrddpg)",
    "Windy_Cliff": "(nearest: windy_cliff-qavg, windy_cliff-fedrq)",
    "zzz": "called 'zzz'; see `fedrl-ray list`",
    "": "called ''; see",
    "x" * 5000: "called 'xxx",
}
COMMANDS = (["train"], ["sweep"], ["submit", "--storage", "/s"], ["chaos"])


@pytest.mark.parametrize("name", UNKNOWN, ids=lambda name: name[:20])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_an_unknown_name_is_one_line_with_the_nearest_names(
    command: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(*command, name) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and err.startswith("error: ")
    if len(name) < 1000:
        assert UNKNOWN[name] in err and "no such file, and no preset is called" in err


@pytest.mark.parametrize(
    "path", [f"tune_configs/{NAME}.yaml", f"{NAME}.yaml", f"./{NAME}", f"/none/{NAME}.yml"]
)
def test_a_path_is_never_a_name_but_the_error_gives_the_name(path: str) -> None:
    with pytest.raises(UserError, match=f"no such file; the preset of this name is '{NAME}'"):
        load(path)


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine").write_text(PRESETS[NAME].read_text())
    assert load("~/mine").name == NAME


def test_a_path_object_is_never_a_name() -> None:
    with pytest.raises(UserError, match="no such file; the preset"):
        load(Path(NAME))


def test_a_folder_of_that_name_does_not_hide_the_preset(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).mkdir()  # as `--output` makes it
    assert experiment_file(NAME) == PRESETS[NAME]
    assert caplog.messages == []


def test_a_file_of_exactly_that_name_is_read_and_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).write_text(PRESETS["pendulum-fedrddpg"].read_text())
    assert load(NAME).name == "pendulum-fedrddpg"
    assert caplog.messages == [f"{NAME}: the file in this folder is read, not the preset of that "
                               "name"]  # fmt: skip


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_the_preset_is_read_beside_a_file_with_the_suffix_and_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    (tmp_path / f"{NAME}{suffix}").write_text(PRESETS["pendulum-fedrddpg"].read_text())
    assert load(NAME).name == NAME
    assert caplog.messages == [
        f"{NAME}: the preset is read, not the file {NAME}{suffix} in this folder"
    ]
    assert load(f"{NAME}{suffix}").name == "pendulum-fedrddpg"


def test_nothing_is_said_in_the_folder_of_the_presets_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(PRESETS[NAME].parent)
    with caplog.at_level(logging.WARNING):
        assert load(NAME).name == NAME
    assert caplog.messages == []


def test_a_file_that_is_no_preset_needs_no_suffix(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text(PRESETS[NAME].read_text())
    assert load("mine").name == NAME
