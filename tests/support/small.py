"""The small experiment that most tests vary."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "federation": {
        "num_agents": 5,
        "steps": 240,
        "sync_interval": 20,
        "backend": "in_process",
        "round_timeout": 60.0,
    },
    "learner": {
        "name": "fedrdqn",
        "omega": 0.3,
        "hidden_sizes": [16, 16],
        "learning_starts": 10,
        "batch_size": 8,
        "replay_capacity": 64,
    },
    "environment": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "evaluation": {"every": 80, "grid": 3, "episodes": 2},
    "checkpoint": {"every": 80, "keep": 2},
}


def merged(base: Any, changes: Any) -> Any:
    """Return a nested mapping with the values of another put into it."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}
