"""A poisoned agent is named in the log, on the terminal, in the report and in the dashboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fedrl_ray.cli.progress import SilentView
from fedrl_ray.common.errors import RunError
from fedrl_ray.config.loading import from_dict
from fedrl_ray.dashboard import live
from fedrl_ray.dashboard.live import Live
from fedrl_ray.reports.data import read
from fedrl_ray.reports.outliers import outliers
from fedrl_ray.reports.page import render
from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.dashboards import few
from tests.support.runs import train
from tests.support.small import SMALL, merged

POISONED = 1
SPRING: dict[str, Any] = {
    "name": "gymnasium",
    "factory": "tests.support.user_envs:ScaledSpring",
    "max_episode_steps": 60,
    "parameters": {
        "mass": {"target": "mass", "nominal": 1.0},
        "scale": {"target": "scale", "nominal": 1.0, "verify": False},
    },
}


def fleet(scale: float, num_agents: int = 5, **changes: Any) -> Any:
    """Return an experiment of unlike masses, of which one agent's rewards are scaled."""
    scales = [scale if agent == POISONED else 1.0 for agent in range(num_agents)]
    base = SMALL | {"environment": SPRING | {"perturb": {"mass": 0.5, "scale": scales}}}
    own = {"federation": {"num_agents": num_agents}, "evaluation": {"every": None, "grid": 5}}
    return from_dict(merged(merged(base, own), changes))


def events(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / LOG).read_text().splitlines()]


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory) -> Path:
    """Return a run in which the rewards of one agent are a million times those of the others."""
    directory = tmp_path_factory.mktemp("poisoned") / "run"
    train(fleet(1e6), directory)
    return directory


def test_the_log_names_the_agent_a_few_times(poisoned):
    told = [row for row in events(poisoned) if row["event"] == "outlier"]
    assert {row["measure"] for row in told} == {"td_loss"}  # Adam hides it from the norm
    assert all(row["agents"] == [POISONED] and row["level"] == "warning" for row in told)
    assert [row["rounds"] for row in told] == [1, 2, 4, 8] and told[0]["round"] == 3
    assert told[0]["times"] > 1e6
    rows = read_rows(poisoned / METRICS)
    named = [[entry["agent"] for entry in row["outliers"]] for row in rows]
    assert named == [[]] * 2 + [[POISONED]] * 10


def test_the_report_names_the_agent_first(poisoned):
    section = outliers(read([poisoned]))
    assert section is not None and section.table is not None
    (row,) = section.table.rows
    assert row[:6] == ("run", POISONED, "td_loss", 10, 3, 12) and float(row[6]) > 1e6
    assert f"\nrun: agent {POISONED}: its td_loss was up to " in section.text
    page = render(read([poisoned]))
    assert page.index('id="outliers"') < page.index('id="front"')


def test_the_dashboard_names_the_agent(poisoned, monkeypatch):
    monkeypatch.setattr(live, "sections", few)
    watching = Live([poisoned])
    watching.refresh()
    assert [row.outliers for row in watching.snapshot().rows] == [(POISONED,)]


def test_the_terminal_names_the_agent(tmp_path, capsys):
    run = Run(fleet(1e6, num_agents=2), tmp_path / "run")
    view = SilentView()
    for report in run:
        view.show(report)
    run.close()
    words = capsys.readouterr().err.splitlines()
    assert len(words) == 4
    assert words[0].startswith(f"round 3: agent {POISONED} is an outlier: its td_loss is ")


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregator": {"name": "trimmed_mean", "fraction": 0.2}},
        {"client_sampler": {"name": "uniform", "count": 4}, "federation": {"steps": 400}},
        {"federation": {"num_agents": 3, "agents_per_actor": 2}},
        {"learner": {"max_grad_norm": 1.0}},
    ],
)
def test_it_is_named_whatever_the_rule_the_sampler_and_the_packing(tmp_path, changes):
    train(fleet(1e6, changes.get("federation", {}).get("num_agents", 5), **changes), tmp_path / "r")
    told = [row["agents"] for row in events(tmp_path / "r") if row["event"] == "outlier"]
    assert told and all(agents == [POISONED] for agents in told)


@pytest.mark.parametrize(("scale", "num_agents"), [(1.0, 5), (2.0, 3), (1e6, 1), (1.0, 2)])
def test_an_ordinary_fleet_has_no_outlier_and_no_section(tmp_path, scale, num_agents):
    train(fleet(scale, num_agents), tmp_path / "run")
    assert "outlier" not in [row["event"] for row in events(tmp_path / "run")]
    assert outliers(read([tmp_path / "run"])) is None


def test_parameters_that_are_not_finite_are_shown_with_the_agent(small, tmp_path, monkeypatch):
    with pytest.raises(RunError, match="agent 0 are no longer finite"):
        train(small(learner={"learning_rate": 1e30}), tmp_path / "run")
    data = read([tmp_path / "run"])
    (problem,) = data.problems
    assert problem.status == "failed" and "parameters of agent 0 are no longer" in problem.reason
    assert "parameters of agent 0 are no longer finite" in render(data)
    monkeypatch.setattr(live, "sections", few)
    watching = Live([tmp_path / "run"])
    watching.refresh()
    (row,) = watching.snapshot().rows
    assert row.status == "failed" and "agent 0" in row.reason


@pytest.mark.slow
def test_a_clipped_value_loss_does_not_hide_the_agent(tmp_path):
    """PPO clips its value loss at 10, and Adam hides the rest."""
    ppo = {"num_epochs": 1, "minibatch_size": 64, "model_config": {"fcnet_hiddens": [8]}}
    learner = {"name": "rllib", "algorithm": "PPO", "iteration_steps": 64,
               "interval_unit": "iterations", "config": ppo}  # fmt: skip
    base = {key: value for key, value in fleet(1e6, 3).to_dict().items() if key != "learner"}
    interval = {"federation": {"sync_interval": 1, "steps": 3 * 64}, "checkpoint": {"every": None}}
    train(from_dict(merged(base | {"learner": learner}, interval)), tmp_path / "run")
    told = [row for row in events(tmp_path / "run") if row["event"] == "outlier"]
    assert [(row["agents"], row["measure"]) for row in told] == [
        ([POISONED], "value_loss_unclipped")
    ]
