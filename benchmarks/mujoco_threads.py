"""Speed of MuJoCo environments with several threads, beside one thread.

    python benchmarks/mujoco_threads.py [--rows 16] [--threads 1 2] [--repeats 9]

Prints a line per family: the microseconds per environment step with one thread, and the speed
ratio for each other number of threads with its range over the repeats. The numbers of threads take
turns, so that other load on the machine slows all of them. The bits must be equal.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from algorithms.types import Array
from fedrl_ray.agents.execution_profile import single_thread
from fedrl_ray.config import plugins
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from fedrl_ray.vector_envs.mujoco import MujocoVectorEnv

FAMILIES = ("half_cheetah", "hopper", "walker2d", "ant")
PERTURB = {"gravity": 0.2}
STEPS = 100


def group(family: str, rows: int, threads: int) -> MujocoVectorEnv:
    """Return a vector environment of `rows` robots, each with its own gravity."""
    cls = plugins.load("environments", family)
    found = cls(cls.Config(threads=threads, perturb=PERTURB))
    dynamics = found.draw(PERTURB, seed=0, agent_ids=range(rows))
    made: MujocoVectorEnv = found.make(
        dynamics, EpisodeSeeds.of_agents(0, range(rows)), retire=False
    )
    return made


def seconds(robots: MujocoVectorEnv, actions: Array) -> float:
    """Return the seconds that the robots take for some actions, [T, N, A]."""
    begun = time.perf_counter()
    for action in actions:
        robots.step(action)
    return time.perf_counter() - begun


def measure(family: str, rows: int, threads: Sequence[int], repeats: int) -> Array:
    """Return the microseconds per environment step, [repeats, len(threads)]."""
    groups = [group(family, rows, n) for n in threads]
    size = len(groups[0].spec.action_low)
    rng, spent = np.random.default_rng(0), []
    for _ in range(repeats):
        actions = rng.uniform(-1, 1, (STEPS, rows, size)).astype(np.float32)
        spent.append([seconds(one, actions) for one in groups])
    assert all(np.array_equal(one.obs, groups[0].obs) for one in groups), "threads change bits"
    for one in groups:
        one.close()
    return np.array(spent) / (STEPS * rows) * 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    single_thread()
    print(f"{'family':<14}{options.threads[0]} thread, us" + "".join(
        f"{f'{n} threads, ratio':>24}" for n in options.threads[1:]))  # fmt: skip
    for family in FAMILIES:
        found = measure(family, options.rows, options.threads, options.repeats)
        ratios = found[:, :1] / found[:, 1:]
        low, middle, high = np.quantile(ratios, [0, 0.5, 1], axis=0)
        cells = [f"{m:.2f} ({a:.2f}-{b:.2f})" for a, m, b in zip(low, middle, high, strict=True)]
        print(f"{family:<14}{np.median(found[:, 0]):12.0f}" + "".join(f"{c:>24}" for c in cells))


if __name__ == "__main__":
    main()
