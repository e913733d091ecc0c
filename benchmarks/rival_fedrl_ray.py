"""Rounds of fedrl-ray for `rivals.py`, with the driver in this process.

    python benchmarks/rival_fedrl_ray.py CASE OUTPUT

`federation.backend` and `federation.agents_per_actor` are `auto`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray

from fedrl_ray.agents.execution_profile import single_thread
from fedrl_ray.backends.plan import build_backend, make_plan
from fedrl_ray.config.loading import from_dict
from fedrl_ray.federation.driver import Driver

LEARNERS = {"cartpole": "fedrdqn", "half_cheetah": "fedrddpg"}


def main(case: dict[str, Any]) -> dict[str, Any]:
    """Run a case; return the seconds of each timed round and of its learning."""
    single_thread()
    experiment = from_dict(settings(case))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(
            experiment,
            directory=Path(folder),
            backend=build_backend(experiment, make_plan(experiment)),
        )
        for _ in range(case["warm_up"] + case["rounds"]):
            started = time.perf_counter()
            report = driver.step()
            rows.append((time.perf_counter() - started, report.learning))
        driver.close()
    ray.shutdown()
    seconds, learning = zip(*rows[case["warm_up"] :], strict=True)
    return {"round_s": seconds, "learning_s": learning}


def settings(case: dict[str, Any]) -> dict[str, Any]:
    """Return the experiment of a case, with omega 0.3 and therefore a degree network."""
    name = case["environment"]
    rounds = case["warm_up"] + case["rounds"]
    return {
        "federation": {
            "num_agents": case["num_agents"],
            "sync_interval": case["sync_interval"],
            "steps": case["sync_interval"] * rounds,
        },
        "learner": {"name": LEARNERS[name], "omega": 0.3, **case["learner"]},
        "environment": {"name": name, "perturb": {case["parameter"]: case["values"]}},
        "evaluation": {"where": "none"},
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]))))
