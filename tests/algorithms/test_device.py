"""`learner.device`: without a GPU there is an error of one line, and no update mixes devices.

Most machines have no GPU. torch's meta device refuses mixed devices as a GPU does, and computes
nothing. An update on it shows that all its tensors were made on one device.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from algorithms.learners.fedrddpg import FedRDDPG
from algorithms.learners.fedrdqn import FedRDQN
from algorithms.types import Spec, Transition
from fedrl_ray.agents.evaluation import LearntPolicy, initial_shared
from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.backends import memory_estimate
from fedrl_ray.common.errors import UserError
from fedrl_ray.config.build import build_family

N, B, S = 3, 16, 4
DISCRETE = Spec(obs_size=S, num_actions=2, max_episode_steps=9)
CONTINUOUS = Spec(obs_size=S, action_low=(-1.0, 0.0), action_high=(1.0, 2.0), max_episode_steps=9)


def on_meta(cls, spec, **keys):
    config = cls.Config(**keys).model_copy(update={"device": "meta"})
    return cls(config, spec, agent_ids=range(N), seed=0)


@pytest.mark.parametrize("keys", [{"omega": 0.3, "max_grad_norm": 1.0}, {"omega": 0.0}], ids=str)
@pytest.mark.parametrize(("cls", "spec"), [(FedRDQN, DISCRETE), (FedRDDPG, CONTINUOUS)])
def test_an_update_stays_on_one_device(cls, spec, keys):
    learner = on_meta(cls, spec, **keys)
    batch = Transition(*(torch.zeros(*shape, device="meta") for shape in shapes(spec)))
    with torch.inference_mode():
        learner.update(batch)
    devices = {group.flat.device.type for group in learner.groups.values()}
    assert devices | {learner.replay.sample(np.zeros((N, B))).obs.device.type} == {"meta"}
    with torch.inference_mode(), pytest.raises(RuntimeError):
        learner.update(batch._replace(reward=torch.zeros(N, B)))  # and a mix is refused


def shapes(spec):
    width = max(1, len(spec.action_low))
    return (N, B, S), (N, B, width), (N, B), (N, B, S), (N, B)


def test_a_minibatch_is_drawn_where_the_replay_is():
    learner = on_meta(FedRDQN, DISCRETE)
    assert {x.device.type for x in learner.replay.sample(np.zeros((N, B)))} == {"meta"}


def test_an_actor_is_to_ask_for_the_gpu_it_uses(small):
    cuda = {"device": "cuda"}
    with pytest.raises(UserError, match=r"resources.gpu: must be above 0 for every agent"):
        small(learner=cuda, federation={"backend": "ray"})
    agents = {"agents": {"2": {"gpu": 0.0}}}
    with pytest.raises(UserError, match=r"got 0 for agent 2"):
        small(learner=cuda, federation={"backend": "ray"}, resources={"gpu": 0.2} | agents)
    small(learner=cuda, federation={"backend": "ray"}, resources={"gpu": 0.2})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_where_there_is_none_it_is_one_line(small):
    experiment = small(learner={"device": "cuda"})
    with pytest.raises(UserError, match=r"^learner.device: is cuda, but torch \S+ finds no GPU"):
        LocalAgents(experiment.to_dict(), [0, 1])


def test_the_driver_needs_no_gpu(small):
    experiment = small(learner={"device": "cuda"})
    family = build_family(experiment)
    on_cpu, on_cuda = (initial_shared(e, family) for e in (small(), experiment))
    assert all((on_cpu[name] == on_cuda[name]).all() for name in on_cpu)
    assert LearntPolicy(experiment, family).learner.config.device == "cpu"
    assert (
        0
        < memory_estimate.estimate(experiment, 1).total
        < memory_estimate.estimate(small(), 1).total
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_fixed_packing_gives_the_same_bits_twice_on_a_gpu(small, tmp_path):
    from tests.support.runs import digests, train

    experiment = small(learner={"device": "cuda"})
    first, second = (digests(train(experiment, tmp_path / name)) for name in ("a", "b"))
    assert first == second
