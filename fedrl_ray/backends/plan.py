"""The plan of a run: where its agents live, and what they need. Computed once, then passed down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..agents.execution_profile import require_compiler
from ..common.errors import UserError
from ..config.build import learner_class
from ..config.schema import Experiment
from ..ray_cluster.resources import Bundle, ResourcesConfig, bundle, require_capacity
from .backend import Backend
from .memory_estimate import MemoryEstimate, available, estimate
from .placement import actor_cpus, actors_of, groups, packing_words


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The layout of a run on this machine or cluster.

    groups: agent ids of each worker. bundles: the resources that each Ray worker asks for; empty
    in process. memory: the most that the run needs at any time.
    """

    backend: Literal["ray", "in_process"]
    groups: tuple[tuple[int, ...], ...]
    bundles: tuple[Bundle, ...]
    memory: MemoryEstimate

    def settle(self, experiment: Experiment) -> Experiment:
        """Return the experiment with `federation.backend` decided, as config.yaml records it."""
        federation = experiment.federation.model_copy(update={"backend": self.backend})
        return experiment.model_copy(update={"federation": federation})

    def __str__(self) -> str:
        sizes = [len(group) for group in self.groups]
        return f"{packing_words(sizes, self.backend)}; {self.memory}"


def backend_of(experiment: Experiment) -> Literal["ray", "in_process"]:
    """Return the backend that `federation.backend` names or, for `auto`, the cheaper one.

    `auto` runs the agents in this process in two cases: the learner is tabular (a step costs less
    than a message), or a single worker would hold all agents. Otherwise it starts Ray actors, and
    it always does so if `RAY_ADDRESS` or `resources` asks Ray for something.
    """
    f = experiment.federation
    if f.backend != "auto":
        return f.backend
    asks = (
        os.environ.get("RAY_ADDRESS", "local") != "local"
        or experiment.resources != ResourcesConfig()
    )
    tabular = learner_class(experiment).spec_kinds == ("tabular",)
    packed = f.agents_per_actor if f.agents_per_actor != "auto" else 1
    return "in_process" if not asks and (tabular or packed >= f.num_agents) else "ray"


def make_plan(experiment: Experiment, nodes: Sequence[Bundle] | None = None) -> Plan:
    """Plan a run on this machine, or on the cluster that this process joins.

    nodes: resources of the cluster's nodes, if room on them is held already (a sweep's trial);
    None asks the cluster and checks that it has room. Raises UserError if it has not, if there is
    not enough memory, or if kernels may not be compiled.
    """
    require_compiler(experiment.to_dict())
    if backend_of(experiment) == "in_process":
        f, needed = experiment.federation, require_memory(experiment, actors=0)
        in_process = groups(f.num_agents, f.agents_per_actor, cpus=1)
        return Plan(backend="in_process", groups=tuple(in_process), bundles=(), memory=needed)
    from ..ray_cluster import cluster

    cluster.connect()
    offered, free = cluster.capacity() if nodes is None else nodes, cluster.memory()
    require_memory(experiment, 1, free)  # before any list of all agents is made
    packed, bundles = pack(experiment, offered)
    if nodes is None:
        require_capacity(packed, bundles, offered)
    needed = require_memory(experiment, len(packed), free)
    return Plan(backend="ray", groups=tuple(packed), bundles=tuple(bundles), memory=needed)


def pack(
    experiment: Experiment, nodes: Sequence[Bundle]
) -> tuple[list[tuple[int, ...]], list[Bundle]]:
    """Return the agent ids of each Ray worker on such nodes, and the bundle each asks for."""
    f, resources = experiment.federation, experiment.resources
    room = actors_of(resources.cpu or 1.0, nodes)
    packed = groups(f.num_agents, f.agents_per_actor, room, resources.kinds(f.num_agents))
    share = actor_cpus(len(packed), nodes)
    return packed, [bundle(resources, group, share) for group in packed]


def require_memory(
    experiment: Experiment, actors: int, free: float | None = None
) -> MemoryEstimate:
    """Return the memory that a run needs. Raises UserError if more than `free` bytes.

    free: None asks this machine.
    """
    needed = estimate(experiment, actors)
    free = available() if free is None else free
    if needed.total > free:
        raise UserError(
            f"not enough memory: {needed}; {free / 2**30:.1f} GiB are free; lower "
            "learner.replay_capacity, federation.num_agents or the number of actors "
            "(federation.agents_per_actor)"
        )
    return needed


def build_backend(experiment: Experiment, plan: Plan) -> Backend:
    """Start the workers of a plan."""
    if plan.backend == "in_process":
        from .in_process import InProcessBackend

        return InProcessBackend(experiment.to_dict(), plan.groups)
    from .ray_backend import RayBackend

    f = experiment.federation
    return RayBackend(
        experiment.to_dict(),
        plan.groups,
        requests=plan.bundles,
        keep_cpu=experiment.resources.cpu is not None,
        timeout=f.round_timeout,
        start_timeout=f.start_timeout,
        channel=f.channel,
    )
