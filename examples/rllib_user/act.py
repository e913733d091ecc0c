"""Use the exported policy in RLlib: `python act.py EXPORTED [HALF_LENGTH]`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from my_env import make
from ray.rllib.core.rl_module.rl_module import RLModule


def main(exported: str, half_length: float) -> None:
    """Run one episode and print its return. RLModules are pickles: load only what you trust."""
    module = RLModule.from_checkpoint(Path(exported).absolute())
    env = make({"half_length": half_length})
    obs, _ = env.reset(seed=0)
    episode_return, over = 0.0, False
    while not over:
        batch = {"obs": torch.as_tensor(obs)[None]}
        logits = module.forward_inference(batch)["action_dist_inputs"]
        obs, reward, terminated, truncated, _ = env.step(int(logits.argmax()))
        episode_return += float(reward)
        over = terminated or truncated
    print(f"return {episode_return:g} with a half-length of {half_length:g} m")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.5)
