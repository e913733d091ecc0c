"""Population based training on files: one run takes over the state of another."""

from __future__ import annotations

import pytest

from fedrl_ray import checkpoints
from fedrl_ray.driver import Driver
from fedrl_ray.errors import RunError
from fedrl_ray.run import Run
from fedrl_ray.run_directory import EVALUATIONS, METRICS, read_rows
from fedrl_ray.sweeps.adoption import LINEAGE, follow, read_lineage

from .runs import train

KEEP = {"learner": {"keep_degree_network": True}}


def robust(small, omega, **changes):
    return small(learner={**KEEP["learner"], "omega": omega}, **changes)


def reference(run):
    return {"trial": "A", "round": run.driver.server.round, "steps": run.steps}


def state_of(run):
    """Its newest checkpoint, as Tune keeps a copy of it."""
    return checkpoints.existing(run / "checkpoints")[-1]


def advance_to(run, round_number):
    while run.driver.server.round < round_number:
        run.advance()
    run.checkpoint()


@pytest.fixture
def pair(small, tmp_path):
    """Run A at round 4 with omega 0.3; run B, omega 0, further on at round 8."""
    a = Run(robust(small, 0.3), tmp_path / "A")
    advance_to(a, 4)
    b = Run(robust(small, 0.0), tmp_path / "B")
    advance_to(b, 8)
    b.close()
    return a, b


def test_the_state_is_the_others_and_the_keys_are_ones_own(small, tmp_path, pair):
    a, _ = pair
    mine, point = robust(small, 0.7), {"learner.omega": 0.7}
    follow(tmp_path / "B", mine, point, state_of(tmp_path / "A"), reference(a))
    taken = Run(mine, tmp_path / "B", resume=True)
    assert taken.driver.digest() == a.driver.digest()
    assert taken.driver.server.round == 4
    assert [p.name for p in checkpoints.existing(tmp_path / "B" / "checkpoints")] == [
        "round_00000004"
    ]
    assert read_lineage(tmp_path / "B") == [
        {"round": 4, "steps": 80, "from": "A", "before": {"learner.omega": 0.0}, "point": point}
    ]
    for name in (METRICS, EVALUATIONS):
        assert [row["round"] for row in read_rows(tmp_path / "B" / name)] == sorted(
            {row["round"] for row in read_rows(tmp_path / "A" / name)}
        )
    by_hand = Driver(mine, directory=tmp_path / "C")
    by_hand.restore(tmp_path / "B" / "checkpoints" / "round_00000004")
    by_hand.step()
    taken.advance()
    assert taken.driver.digest() == by_hand.digest()
    a.advance()
    assert taken.driver.digest() != a.driver.digest()
    a.close()
    taken.close()


def test_more_than_the_points_keys_may_not_differ(small, tmp_path, pair):
    a, _ = pair
    other = robust(small, 0.7, federation={"num_agents": 3})
    with pytest.raises(RunError, match=r"federation\.num_agents differ"):
        follow(
            tmp_path / "B", other, {"learner.omega": 0.7}, state_of(tmp_path / "A"), reference(a)
        )
    a.close()
    assert not (tmp_path / "B" / LINEAGE).exists()


def test_a_kept_degree_network_changes_no_bit_of_q_at_omega_0(small, tmp_path):
    """Law 4 with the network built: theta is the baseline's, psi learns beside it."""
    import numpy as np

    plain = Driver(small(learner={"omega": 0.0}))
    kept = Driver(robust(small, 0.0))
    for driver in (plain, kept):
        for _ in range(3):
            driver.step()
    shared = kept.server.shared
    assert any(name.startswith("degree") for name in shared)
    for name, value in plain.server.shared.items():
        np.testing.assert_array_equal(value, shared[name])
    assert train(robust(small, 0.0), tmp_path / "whole")["status"] == "completed"
