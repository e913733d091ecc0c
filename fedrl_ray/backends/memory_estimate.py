"""The memory that an experiment needs, and the memory that is available.

The constants and factors are measured (docs/memory.md says how); they err on the side of too much.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psutil

from algorithms.types import Params

from ..agents.evaluation import initial_shared
from ..config.build import build_aggregator, build_family, learner_class
from ..config.schema import Experiment

ACTOR = 240 * 2**20
"""Bytes of an actor with torch and no agent yet; memory that all actors share is not counted."""
PROGRAM = 330 * 2**20
"""Bytes of the command line and the driver's actor, or of one process with both and the agents."""
RAY = 350 * 2**20
"""Bytes of Ray's own processes on one machine."""
CGROUP = Path("/sys/fs/cgroup")
CGROUP_FILES = (("memory.max", "memory.current"),
            ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))  # fmt: skip
"""Files with the limit and the use of a container's memory, for cgroups of version 2 and 1."""


class MemoryEstimate(NamedTuple):
    """Memory in bytes. object_store: Ray's shared memory, through which parameters travel."""

    agents: int
    actors: int
    driver: int
    object_store: int

    @property
    def total(self) -> int:
        """Sum of all parts, in bytes."""
        return sum(self)

    def __str__(self) -> str:
        parts = {name.replace("_", " "): size / 2**30 for name, size in self._asdict().items()}
        words = [f"{name} {size:.1f}" for name, size in parts.items() if size >= 0.05]
        return f"about {self.total / 2**30:.1f} GiB of memory: {', '.join(words)}"


class _Sizes(NamedTuple):
    """Memory of one agent, and of the driver's test environments together, in bytes.

    networks: all networks. trained: networks without targets. activations: layers of a minibatch.
    replay: the replay buffer, which is allocated at once. stored: its part that a whole run fills.
    """

    networks: int
    trained: int
    activations: int
    replay: int
    stored: int
    environment: int
    test_grid: int

    @property
    def state(self) -> int:
        """Bytes of the learner in a checkpoint, with two moments of each trained parameter."""
        return self.stored + self.networks + 2 * self.trained

    @property
    def peak(self) -> int:
        """Most bytes at any time.

        They include gradients and moments, the work space of an update and of the end of a round,
        and a checkpoint's copy of the state.
        """
        held = self.replay + self.networks + 3 * self.trained + self.activations + self.environment
        return held + 4 * self.networks + self.state


def estimate(experiment: Experiment, actors: int) -> MemoryEstimate:
    """Return the most memory that a run needs at any time.

    actors: number of actors that hold the agents; 0 means that the program holds them. A round's
    parameters travel once to all actors, and from each actor as a pair of float64 sums.
    """
    sizes = _sizes(experiment)
    library = learner_class(experiment).bytes_per_process(experiment.learner.settings)
    library += build_family(experiment).bytes_per_process()
    k, rule = experiment.federation.num_agents, build_aggregator(experiment)
    shared = PROGRAM + library + (RAY if actors else 0)
    return MemoryEstimate(
        agents=sizes.peak * k,
        actors=actors * (ACTOR + library),
        driver=shared
        + 10 * sizes.networks
        + sizes.test_grid
        + rule.driver_bytes(k, sizes.networks),
        object_store=(2 + 4 * actors) * sizes.networks if actors else 0,
    )


def state_bytes(experiment: Experiment) -> int:
    """Return an upper estimate of one agent's share of a checkpoint, in bytes."""
    sizes = _sizes(experiment)
    return sizes.state + sizes.environment


def available() -> int:
    """Return the free memory of this machine, within its container's limit if any, in bytes."""
    free = psutil.virtual_memory().available
    for names in CGROUP_FILES:
        try:
            limit, used = (int((CGROUP / name).read_text()) for name in names)
        except (OSError, ValueError):  # the file does not exist, or says "max"
            continue
        free = min(free, max(0, limit - used))
    return free


def _sizes(experiment: Experiment) -> _Sizes:
    family, e = build_family(experiment), experiment.evaluation
    # kernels are shared, and environments of a user are opened a few at a time
    rows = e.size if family.spec.kind == "tabular" else e.size * e.episodes
    rows = rows if family.max_open is None else min(e.size, family.max_open)
    settings = experiment.learner.settings
    replay, stored = learner_class(experiment).replay_bytes(
        settings, family.spec, experiment.federation.steps
    )
    parameters = initial_shared(experiment, family)
    shared = {name: x.nbytes for name, x in parameters.items()}
    return _Sizes(
        networks=sum(shared.values()),
        trained=sum(n for name, n in shared.items() if "_target/" not in name),
        activations=_activations(parameters, settings.rows_per_update()),
        replay=replay,
        stored=stored,
        environment=family.bytes_per_environment(),
        test_grid=rows * family.bytes_per_environment() if e.where == "driver" else 0,
    )


def _activations(parameters: Params, batch: int) -> int:
    """Return the bytes of all layers' inputs and outputs for a minibatch of one agent."""
    weights = [x for name, x in parameters.items() if name.endswith(".weight")]
    return 4 * batch * sum(sum(weight.shape) for weight in weights)
