"""How much memory an experiment needs, and how much there is.

The constants and factors are measured (docs/design.md says how); they err on the side of too much.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psutil

from algorithms.types import Params

from ..agents.evaluation import initial_shared
from ..config.build import build_family, learner_class
from ..config.schema import Experiment

ACTOR = 240 * 2**20
"""A process with torch that holds no agent yet, bytes; what is shared with its like counts once."""
PROGRAM = 330 * 2**20
"""The command line and the driver's actor beside it, or both with the agents in one process."""
RAY = 350 * 2**20
"""Ray's own processes on one machine."""
CGROUP = Path("/sys/fs/cgroup")
_CGROUPS = (("memory.max", "memory.current"),
            ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))  # fmt: skip
"""Limit and use of a container, version 2 and 1."""


class MemoryEstimate(NamedTuple):
    """Bytes. object_store: shared memory, through which parameters travel."""

    agents: int
    actors: int
    driver: int
    object_store: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)

    def __str__(self) -> str:
        parts = {name.replace("_", " "): size / 2**30 for name, size in self._asdict().items()}
        words = [f"{name} {size:.1f}" for name, size in parts.items() if size >= 0.05]
        return f"about {self.total / 2**30:.1f} GiB of memory: {', '.join(words)}"


class _Sizes(NamedTuple):
    """Bytes of one agent: all its networks, those that are trained, which targets are not, what
    layers make of a minibatch, its replay buffer and what a whole run puts into it, its
    environment; and of the driver's test environments together. A buffer's memory is taken at once:
    it comes in blocks that are larger than many transitions."""

    networks: int
    trained: int
    activations: int
    replay: int
    stored: int
    environment: int
    test_grid: int

    @property
    def state(self) -> int:
        """What a checkpoint holds of the learner: two moments of what is trained among it."""
        return self.stored + self.networks + 2 * self.trained

    @property
    def peak(self) -> int:
        """What it holds, gradients and moments among it, what an update and a round's end work on,
        and a checkpoint's copy of the state."""
        held = self.replay + self.networks + 3 * self.trained + self.activations + self.environment
        return held + 4 * self.networks + self.state


def estimate(experiment: Experiment, actors: int) -> MemoryEstimate:
    """The most that a run needs at any time, its agents in so many actors; 0: in the program.

    A round's parameters travel once to all actors, and from each as a pair of float64 sums.
    """
    sizes = _sizes(experiment)
    library = learner_class(experiment).bytes_per_process(experiment.learner.settings)
    return MemoryEstimate(
        agents=sizes.peak * experiment.federation.num_agents,
        actors=actors * (ACTOR + library),
        driver=PROGRAM + library + (RAY if actors else 0) + 10 * sizes.networks + sizes.test_grid,
        object_store=(2 + 4 * actors) * sizes.networks if actors else 0,
    )


def state_bytes(experiment: Experiment) -> int:
    """One agent's share of a checkpoint, rather too much than too little."""
    sizes = _sizes(experiment)
    return sizes.state + sizes.environment


def available() -> int:
    """Bytes free on this machine, within the limit of the container if there is one."""
    free = psutil.virtual_memory().available
    for names in _CGROUPS:
        try:
            limit, used = (int((CGROUP / name).read_text()) for name in names)
        except (OSError, ValueError):  # no such version, or "max"
            continue
        free = min(free, max(0, limit - used))
    return free


def _sizes(experiment: Experiment) -> _Sizes:
    family, e = build_family(experiment), experiment.evaluation
    rows = e.grid if family.spec.kind == "tabular" else e.grid * e.episodes  # kernels are shared
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
    """What goes into every layer of all networks of an agent and comes out, of a minibatch."""
    weights = [x for name, x in parameters.items() if name.endswith(".weight")]
    return 4 * batch * sum(sum(weight.shape) for weight in weights)
