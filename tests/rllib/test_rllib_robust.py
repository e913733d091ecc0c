"""The robust target in RLlib's learners equals FedRDQN, a plain SAC, and RLlib at omega 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

from algorithms.learners.fedrdqn import FedRDQN
from algorithms.types import Spec, Transition
from fedrl_ray.rllib.robust import robust
from fedrl_ray.rllib.robust_degree import robust_terms
from fedrl_ray.rllib.robust_dqn import bootstrap_value
from fedrl_ray.rllib.robust_sac import soft_value
from tests.support.rllib_learners import (
    BOX,
    CONFIGS,
    DISCRETE,
    GAMMA,
    HIDDEN,
    build,
    dqn,
    logged,
    minibatch,
    sac,
    train_once,
)
from tests.support.sac_oracle import SACOracle

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
LAYERS = ("encoder.net.mlp.0", "encoder.net.mlp.2", "{head}.net.mlp.0")
PLACES = {
    "q": ("", "af"),
    "q_target": ("_target_", "_target_af"),
    "degree": ("degree.", "degree.head"),
}


def rllib_name(network: str, name: str) -> str:
    """Return the name in RLlib's module of a parameter of FedRDQN such as 'degree/2.weight'."""
    prefix, head = PLACES[network]
    layer, kind = name.split(".")
    place = LAYERS[int(layer)]
    own = place.format(head=head) if "{" in place else prefix + place
    return f"{own}.{kind}"


def as_linear(value: Any) -> torch.Tensor:
    """Return [1, in, out] or [1, 1, out] in the shape of torch.nn.Linear."""
    matrix = torch.as_tensor(np.array(value))[0].T
    return matrix[:, 0] if matrix.shape[1] == 1 else matrix


def fedrdqn(omega: float, expectile: float) -> FedRDQN:
    spec = Spec(obs_size=3, num_actions=4, max_episode_steps=100)
    config = FedRDQN.Config(
        omega=omega,
        expectile=expectile,
        discount=GAMMA,
        hidden_sizes=HIDDEN,
        target_rate=0.5,
        keep_degree_network=True,
    )
    learner = FedRDQN(config, spec, agent_ids=[0], seed=3)
    rng = np.random.default_rng(1)  # so that Q and its target differ
    shared = {
        name: x[0] + rng.normal(size=x[0].shape, scale=0.1) for name, x in learner.shared().items()
    }
    learner.load_shared({name: x.astype(np.float32) for name, x in shared.items()})
    return learner


def give(module: Any, ours: FedRDQN) -> None:
    """Copy FedRDQN's parameters to RLlib's module."""
    state = module.get_state()
    for path, value in ours.shared().items():
        network, name = path.split("/")
        state[rllib_name(network, name)] = as_linear(value).numpy()
    module.set_state(state)


def transition(batch: dict[str, torch.Tensor]) -> Transition:
    """Return the minibatch in FedRDQN's shapes, with N = 1."""
    names = {"obs": "obs", "action": "actions", "reward": "rewards", "next_obs": "new_obs"}
    fields = {ours: batch[theirs][None].numpy() for ours, theirs in names.items()}
    fields["action"] = fields["action"][..., None]
    return Transition(**fields, terminated=batch["terminateds"].float()[None].numpy())


def gradient(ours: FedRDQN, number: int, name: str) -> torch.Tensor:
    """Return a parameter's gradient in the first update; Adam's first moment is a tenth of it."""
    return as_linear(ours.agent_state(0)[f"adam.critics/{number}.exp_avg.{name}"][None]) * 10


@pytest.mark.parametrize(("omega", "expectile"), [(0.3, 0.01), (1.0, 0.2)])
def test_dqn_has_the_losses_and_gradients_of_fedrdqn(omega: float, expectile: float) -> None:
    ours, batch = fedrdqn(omega, expectile), minibatch(DISCRETE)
    theirs = build(robust(dqn(), omega=omega, expectile=expectile), DISCRETE)
    give(theirs.module[DEFAULT_MODULE_ID], ours)
    _, gradients = train_once(theirs, batch)
    ours.update(transition(batch))
    told = {name: float(value[0]) for name, value in ours.drain_metrics().items()}
    assert told["degree_loss"] > 0 and told["td_loss"] > 0
    for mine, its in (("td_loss", "qf_loss"), ("degree_loss",) * 2, ("degree_gap",) * 2):
        assert logged(theirs, its) == pytest.approx(told[mine], rel=1e-5, abs=1e-5)
    for number, network in enumerate(("q", "degree")):
        for name in ours.networks[network].views():
            mine = gradient(ours, number, name)
            np.testing.assert_allclose(gradients.pop(rllib_name(network, name)), mine, **CLOSE)
    assert not gradients


def test_double_dqn_is_the_plain_loop_over_its_transitions() -> None:
    """RLlib's defaults are double Q, dueling, the Huber loss and importance weights."""
    config = dqn(double_q=True, dueling=True, td_error_loss_fn="huber")
    learner, batch = build(robust(config, omega=0.4, expectile=0.1), DISCRETE), minibatch(DISCRETE)
    batch["weights"] = torch.rand(24, generator=torch.Generator().manual_seed(0))
    out = learner.module.forward_train({DEFAULT_MODULE_ID: batch})[DEFAULT_MODULE_ID]
    total, _ = train_once(learner, batch)
    losses = []
    for row in range(24):
        best = out["qf_next_preds"][row].argmax()
        v_next = 0.0 if batch["terminateds"][row] else out["qf_target_next_preds"][row, best].item()
        worst = out["degree_preds"][row].item()
        y = float(batch["rewards"][row]) + GAMMA * (0.6 * v_next + 0.4 * worst)
        error = abs(y - out["qf_preds"][row, batch["actions"][row]].item())
        td = error**2 / 2 if error < 1 else error - 0.5
        degree = (0.9 if worst > v_next else 0.1) * (v_next - worst) ** 2
        losses.append(float(batch["weights"][row]) * (td + degree))
    assert total == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_bootstrap_value_is_of_the_action_that_rllib_chooses() -> None:
    preds = {
        "qf_next_preds": torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),
        "qf_target_next_preds": torch.tensor([[3.0, 5.0], [-torch.inf, 2.0], [-torch.inf] * 2]),
    }
    assert bootstrap_value(preds, double_q=False).tolist() == [5.0, 2.0, 0.0]
    assert bootstrap_value(preds, double_q=True).tolist() == [3.0, 2.0, 0.0]


@pytest.mark.parametrize(("omega", "expectile"), [(0.3, 0.01), (1.0, 0.2)])
def test_sac_has_the_losses_and_gradients_of_the_plain_one(omega: float, expectile: float) -> None:
    learner, batch = build(robust(sac(), omega=omega, expectile=expectile), BOX), minibatch(BOX)
    batch["weights"] = torch.rand(24, generator=torch.Generator().manual_seed(0))
    jitter(learner)
    module = learner.module[DEFAULT_MODULE_ID]
    log_alpha = learner.curr_log_alpha[DEFAULT_MODULE_ID].item()
    oracle = SACOracle(module.state_dict(), log_alpha=log_alpha, omega=omega, expectile=expectile)
    torch.manual_seed(11)
    total, gradients = train_once(learner, batch)
    torch.manual_seed(11)
    losses = oracle.losses(batch, (torch.randn(24, 2), torch.randn(24, 2)), gamma=GAMMA)
    told = {"qf": "qf_loss", "qf_twin": "qf_twin_loss", "degree": "degree_loss"}
    told |= {"policy": "policy_loss", "alpha": "alpha_loss"}
    for name, loss in losses.items():
        assert logged(learner, told[name]) == pytest.approx(loss.item(), rel=1e-5, abs=1e-5), name
    assert total == pytest.approx(sum(x.item() for x in losses.values()), rel=1e-5)
    expected = oracle.gradients(losses)
    assert gradients.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(gradients[name], value, **CLOSE, err_msg=name)


def jitter(learner: Any) -> None:
    """Move the targets away from their networks."""
    generator = torch.Generator().manual_seed(2)
    for name, value in learner.module[DEFAULT_MODULE_ID].named_parameters():
        if "target" in name:
            value.data += 0.1 * torch.randn(value.shape, generator=generator)


def test_the_soft_value_over_discrete_actions_is_their_mean() -> None:
    outputs = {
        "q_target_next": torch.tensor([[1.0, 3.0]]),
        "action_probs_next": torch.tensor([[0.25, 0.75]]),
        "action_log_probs_next": torch.tensor([[-2.0, -1.0]]),
    }
    assert soft_value(outputs, alpha=torch.tensor([0.5])).tolist() == [0.25 * 2.0 + 0.75 * 3.5]


def test_the_soft_value_of_a_drawn_action_counts_its_own_entropy() -> None:
    outputs = {"q_target_next": torch.tensor([3.0]), "logp_next_resampled": torch.tensor([-2.0])}
    assert soft_value(outputs, alpha=torch.tensor([0.5])).tolist() == [4.0]


def test_the_target_is_detached_from_both_networks() -> None:
    ones = torch.ones(4)
    batch = {"rewards": ones, "terminateds": ones < 0, "weights": ones}
    bootstrap_B, v_worst_B = torch.ones(4, requires_grad=True), torch.ones(4, requires_grad=True)
    config = robust(dqn(), omega=0.5, expectile=0.01)
    terms = robust_terms(batch, bootstrap_B=bootstrap_B, v_worst_B=v_worst_B, config=config)
    assert not terms.batch["rewards"].requires_grad and terms.degree_loss.requires_grad
    terms.degree_loss.backward()
    assert bootstrap_B.grad is None and v_worst_B.grad is not None


@pytest.mark.parametrize("name", CONFIGS)
def test_omega_zero_is_rllibs_own_loss_bit_for_bit(name: str) -> None:
    config, actions = CONFIGS[name]
    at_zero = robust(config, omega=0.5, expectile=0.01).learners(learner_config_dict={"omega": 0.0})
    own, ours = build(config, actions), build(at_zero, actions)
    found = []
    for learner in (own, ours):
        jitter(learner)
        torch.manual_seed(4)
        found.append(train_once(learner, minibatch(actions)))
    (its_total, its_gradients), (total, gradients) = found
    assert total - logged(ours, "degree_loss") == pytest.approx(its_total, rel=1e-6)
    assert logged(ours, "qf_loss") == logged(own, "qf_loss")
    assert gradients.keys() > its_gradients.keys()
    assert all(torch.equal(gradients[name], x) for name, x in its_gradients.items())
