"""Participation: sampled agents step, the others rest, and each agent has its own clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedrl_ray.config import plugins
from fedrl_ray.config.build import build_client_sampler
from fedrl_ray.federation.driver import Driver
from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.faulty_backend import FaultyBackend
from tests.support.runs import digests, train

TWO = {"name": "uniform", "count": 2}
KEYS: dict[str, dict[str, Any]] = {"uniform": {"count": 2}, "availability": {"probability": 0.5}}
"""Keys of plug-ins at which something differs from the default."""
KINDS = ("aggregators", "server_optimizers", "client_samplers")
RULES = [(kind, name) for kind in KINDS for name in plugins.names(kind)]


def section(kind: str, name: str) -> dict[str, Any]:
    """Return the section of an experiment that names a plug-in."""
    return {plugins.KINDS[kind].section: {"name": name} | KEYS.get(name, {})}


@pytest.mark.parametrize(("kind", "name"), RULES)
def test_packing_and_resuming_change_no_bit_under_any_rule(
    kind: str, name: str, small: Any, tmp_path: Path
) -> None:
    changes = section(kind, name) | {"evaluation": {"where": "none"}}
    together = train(small(federation={"agents_per_actor": 5}, **changes), tmp_path / "together")
    alone = small(federation={"agents_per_actor": 1}, **changes)
    stopped = Run(alone, tmp_path / "stopped")
    for _ in range(6):
        stopped.advance()
    stopped.close()
    packed = small(federation={"agents_per_actor": 2}, **changes)
    resumed = Run(packed, tmp_path / "stopped", resume=True)
    assert resumed.driver.server.round == 4
    list(resumed)
    assert digests(resumed.finish()) == digests(together)
    resumed.close()


def test_sampling_everybody_is_full_participation(small: Any, tmp_path: Path) -> None:
    """Sampled agents step one by one, the others together: the same bits."""
    everybody = small(client_sampler={"name": "uniform", "count": 5})
    assert digests(train(everybody, tmp_path / "one")) == digests(train(small(), tmp_path / "two"))


def test_an_agent_that_is_not_sampled_does_not_step(small: Any) -> None:
    driver = Driver(small(client_sampler=TWO, federation={"agents_per_actor": 2}))
    clocks = np.zeros(5, dtype=np.int64)
    for _ in range(8):
        report = driver.step()
        assert report.sampled is not None and len(report.sampled) == report.participants == 2
        clocks[list(report.sampled)] += 20
        assert driver.server.clocks.tolist() == clocks.tolist()
        seen = ~np.isnan(report.metrics["update_norm"])
        assert np.flatnonzero(seen).tolist() == list(report.sampled)
        assert report.agent_steps == clocks.sum() and not report.absent
    assert clocks.min() < clocks.max()
    driver.close()


def test_counters_follow_the_agents_own_clock(small: Any) -> None:
    """Learning starts after 30 own steps: in an agent's second round, whenever that comes."""
    driver = Driver(small(client_sampler=TWO, learner={"learning_starts": 30}))
    rounds = np.zeros(5, dtype=int)
    for _ in range(12):
        report = driver.step()
        for agent in report.sampled or ():
            rounds[agent] += 1
            learnt = not np.isnan(report.metrics["td_loss"][agent])
            assert learnt == (rounds[agent] > 1), (agent, rounds[agent])
    driver.close()


def test_a_lost_worker_changes_no_bit_of_a_sampled_run(small: Any, tmp_path: Path) -> None:
    experiment = small(client_sampler=TWO, federation={"agents_per_actor": 1})
    undisturbed = train(experiment, tmp_path / "whole")
    victim = build_client_sampler(experiment).sample(6, range(5))[0]
    backend = FaultyBackend(experiment, lose={6: [victim]})
    driver = Driver(experiment, directory=tmp_path / "faulty", backend=backend)
    disturbed = train(experiment, tmp_path / "faulty", driver)
    assert digests(disturbed) == digests(undisturbed)
    events = (tmp_path / "faulty" / LOG).read_text()
    assert '"rewind"' in events


def test_under_continue_the_sampler_chooses_among_those_that_are_there(
    small: Any, tmp_path: Path
) -> None:
    federation = {"on_failure": "continue", "agents_per_actor": 1, "min_agents": 1}
    experiment = small(client_sampler=TWO, federation=federation)
    victim = build_client_sampler(experiment).sample(2, range(5))[0]
    backend = FaultyBackend(experiment, lose={2: [victim]})
    driver = Driver(experiment, directory=tmp_path / "run", backend=backend)
    run = Run(experiment, tmp_path / "run", driver=driver)
    reports = list(run)
    assert [r.round for r in reports] == list(range(1, 13))
    assert {r.participants for r in reports} <= {1, 2}
    assert sum(len(r.absent) for r in reports) >= 1
    run.finish()
    run.close()


def test_the_log_tells_who_took_part(small: Any, tmp_path: Path) -> None:
    train(small(client_sampler=TWO), tmp_path / "some")
    rows = read_rows(tmp_path / "some" / METRICS)
    assert all(len(row["sampled"]) == 2 for row in rows)
    train(small(), tmp_path / "all")
    assert all(row["sampled"] is None for row in read_rows(tmp_path / "all" / METRICS))
