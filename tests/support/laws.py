"""The laws of every deep learner, as functions of (class, config, environments)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.support.federations import row_of, run, same_bits

Environments = Callable[..., Any]


def build(learner: Any, config: Any, env: Any, agent_ids: Sequence[int]) -> Any:
    return learner(config, env.spec, agent_ids=agent_ids, seed=7)


def follows_its_oracle(
    learner_class: Any, oracle_class: Any, config: Any, environments: Environments, *, steps: int
) -> None:
    """Three stacked agents equal three plain ones to 1e-9 in float64, averaged once half-way."""
    agents, env = (0, 1, 2), environments((0, 1, 2))
    learner = build(learner_class, config, env, agents)
    oracles = [oracle_class(config, env.spec, agent=a, seed=7) for a in agents]
    alone = [environments([a]) for a in agents]
    for half in range(2):
        if half:
            mean = {name: x.mean(0) for name, x in learner.shared().items()}
            for one in [learner, *oracles]:
                one.load_shared(mean)
        run(learner, env, steps // 2)
        for row, (oracle, its_env) in enumerate(zip(oracles, alone, strict=True)):
            run(oracle, its_env, steps // 2)
            assert oracle.updates > 0
            agrees(learner, row, oracle)


def agrees(learner: Any, row: int, oracle: Any) -> None:
    """Assert that the parameters and the state of one row equal the oracle's."""
    mine = row_of(learner.shared(), row)
    for name, value in oracle.shared().items():
        np.testing.assert_allclose(mine[name], value, rtol=1e-9, atol=1e-9, err_msg=name)
    assert learner.agent_state(row)["replay/added"] == oracle.stored


def packing_changes_no_bit(learner_class: Any, config: Any, environments: Environments) -> None:
    """Five agents together have the bits of 1 + 1 + 3 agents, over two rounds of local steps."""
    envs = [environments(ids) for ids in ([0, 1, 2, 3, 4], [0], [1], [2, 3, 4])]
    ids = [(0, 1, 2, 3, 4), (0,), (1,), (2, 3, 4)]
    learners = [build(learner_class, config, e, i) for e, i in zip(envs, ids, strict=True)]
    together = learners[0]
    for _ in range(2):
        for learner, env in zip(learners, envs, strict=True):
            run(learner, env, 40)
        for learner, group in zip(learners[1:], ids[1:], strict=True):
            for row, agent in enumerate(group):
                assert same_bits(row_of(learner.shared(), row), row_of(together.shared(), agent))
                assert same_bits(learner.agent_state(row), together.agent_state(agent))
        told = together.drain_metrics()
        for learner, group in zip(learners[1:], ids[1:], strict=True):
            assert same_bits(learner.drain_metrics(), {k: x[list(group)] for k, x in told.items()})
        mean = {name: x.mean(0) for name, x in together.shared().items()}
        for learner in learners:
            learner.load_shared(mean)


def agents_are_independent(learner_class: Any, config: Any, environments: Environments) -> None:
    """Another environment for agent 2 changes agent 2 and no other agent."""
    states = []
    for last in (2.0, 0.6):
        env = environments((0, 1, 2), (0.5, 1.0, last))
        learner = build(learner_class, config, env, (0, 1, 2))
        run(learner, env, 60)
        states.append([learner.agent_state(row) for row in range(3)])
    assert same_bits(states[0][0], states[1][0]) and same_bits(states[0][1], states[1][1])
    assert not same_bits(states[0][2], states[1][2])


def omega_zero_needs_no_degree_network(
    learner_class: Any, config: Any, environments: Environments
) -> None:
    """Agents 0 and 1 at omega 0 have the same bits whether or not agent 2 is robust."""
    learners = []
    for omega in (0.0, (0.0, 0.0, 0.3)):
        env = environments((0, 1, 2))
        chosen = config.model_copy(update={"omega": omega})
        learner = build(learner_class, chosen, env, (0, 1, 2))
        run(learner, env, 80)
        learners.append(learner)
    plain, mixed = (learner.shared() for learner in learners)
    assert not any(name.startswith("degree") for name in plain)
    assert any(name.startswith("degree") for name in mixed)
    common = {name: mixed[name] for name in plain}
    assert same_bits(row_of(plain, 0), row_of(common, 0))
    assert same_bits(row_of(plain, 1), row_of(common, 1))
    assert not same_bits(row_of(plain, 2), row_of(common, 2))


def a_saved_agent_goes_on_exactly(
    learner_class: Any, config: Any, environments: Environments
) -> None:
    """A state saved after 50 steps goes on in fresh objects with the bits of an undisturbed run.

    The saved agents come back in another order of rows.
    """
    env = environments((0, 1))
    learner = build(learner_class, config, env, (0, 1))
    run(learner, env, 50)
    saved = [(learner.agent_state(row), env.agent_state(row)) for row in (0, 1)]
    other_env = environments((1, 0))
    other = build(learner_class, config, other_env, (1, 0))
    other.clock = learner.clock
    for row, (agent, physics) in enumerate(reversed(saved)):
        other.load_agent_state(row, agent)
        other_env.load_agent_state(row, physics)
    run(learner, env, 50)
    run(other, other_env, 50)
    assert same_bits(learner.agent_state(0), other.agent_state(1))
    assert same_bits(learner.agent_state(1), other.agent_state(0))
    assert not same_bits(saved[0][0], learner.agent_state(0))
