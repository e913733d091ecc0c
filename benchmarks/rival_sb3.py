"""A hand-written federation with Stable-Baselines3, for `rivals.py`.

    python benchmarks/rival_sb3.py CASE OUTPUT

There is one process per core. Each steps its agents one after the other, and all parameters are
averaged every E steps. DQN and DDPG have no degree network, so an update is less work than one of
FedRDQN or FedRDDPG.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DDPG, DQN
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise
from torch.nn.utils import parameters_to_vector, vector_to_parameters


def main(case: dict[str, Any]) -> dict[str, Any]:
    """Run a case; return the seconds of each timed round and of its learning."""
    groups = np.array_split(
        np.arange(case["num_agents"]), min(os.cpu_count() or 1, case["num_agents"])
    )
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for group in groups:
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=work, args=(theirs, case, group.tolist())))
        processes[-1].start()
        pipes.append(ours)
    shared, rows = pipes[0].recv(), []
    for pipe in pipes[1:]:
        pipe.recv()
    for _ in range(case["warm_up"] + case["rounds"]):
        started = time.perf_counter()
        shared, learning = federated_round(pipes, shared, case["num_agents"])
        rows.append((time.perf_counter() - started, learning))
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send(None)
        process.join()
    seconds, learning_s = zip(*rows[case["warm_up"] :], strict=True)
    return {"round_s": seconds, "learning_s": learning_s}


def federated_round(
    pipes: Sequence[Connection], shared: np.ndarray, num_agents: int
) -> tuple[np.ndarray, float]:
    """Run a round; return the averaged parameters and the slowest process's learning seconds."""
    for pipe in pipes:
        pipe.send(shared)
    sums, seconds = zip(*(pipe.recv() for pipe in pipes), strict=True)
    return (np.sum(sums, axis=0) / num_agents).astype(np.float32), max(seconds)


def work(pipe: Connection, case: dict[str, Any], ids: Sequence[int]) -> None:
    """Send the initial parameters, then reply to each broadcast with the sum over the agents."""
    torch.set_num_threads(1)
    models = [build(case, i) for i in ids]
    pipe.send(flat(models[0]))
    while (shared := pipe.recv()) is not None:
        started, total = time.perf_counter(), np.zeros(len(shared))
        for model in models:
            vector_to_parameters(torch.tensor(shared), model.policy.parameters())
            model.learn(case["sync_interval"], reset_num_timesteps=False, log_interval=None)
            total += flat(model)
        pipe.send((total, time.perf_counter() - started))


def flat(model: Any) -> np.ndarray:
    """Return every network of a model, targets included, as one vector."""
    return np.asarray(parameters_to_vector(model.policy.parameters()).detach())


def build(case: dict[str, Any], agent: int) -> Any:
    """Return an agent of Stable-Baselines3 with the networks, buffer and rates of the case."""
    c = case["learner"]
    common = {
        "policy": "MlpPolicy", "env": environment(case, agent), "seed": agent, "device": "cpu",
        "learning_rate": c["learning_rate"], "buffer_size": c["replay_capacity"],
        "batch_size": c["batch_size"], "learning_starts": c["learning_starts"],
        "tau": c["target_rate"], "train_freq": 1, "gradient_steps": 1,
        "policy_kwargs": {"net_arch": c["hidden_sizes"]},
    }  # fmt: skip
    if case["environment"] == "cartpole":
        return DQN(
            **common, target_update_interval=1, max_grad_norm=c["max_grad_norm"],
            exploration_initial_eps=c["epsilon"], exploration_final_eps=c["epsilon"],
        )  # fmt: skip
    return DDPG(**common, action_noise=OrnsteinUhlenbeckActionNoise(np.zeros(6), 0.2 * np.ones(6)))


def environment(case: dict[str, Any], agent: int) -> gymnasium.Env[Any, Any]:
    """Return Gymnasium's environment with the agent's value of the perturbed parameter."""
    value = case["values"][agent]
    if case["environment"] == "half_cheetah":
        cheetah = gymnasium.make("HalfCheetah-v5", disable_env_checker=True)
        cheetah.unwrapped.model.opt.gravity[2] = -value
        return cheetah
    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    env.unwrapped.length = value / 2
    env.unwrapped.polemass_length = env.unwrapped.masspole * value / 2
    return env


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]))))
