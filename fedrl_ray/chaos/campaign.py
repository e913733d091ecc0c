"""The cases of `fedrl-ray chaos`: every fault under every policy, and an undisturbed run."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.console import notes
from ..common.errors import RunError, UserError
from ..common.modules import is_installed
from ..config import loading
from ..config.schema import Experiment
from ..ray_cluster.resources import together
from ..runs import run_directory
from .case import Case, Result, round_to_disturb
from .fault import Scene, load, names
from .local_cluster import LocalCluster
from .observer import Observer
from .program import Program

POLICIES = ("rewind", "continue")


@dataclass(frozen=True, kw_only=True)
class ChaosOptions:
    """Arguments of `fedrl-ray chaos`."""

    config: str | Path
    """Experiment file, or the name of a preset."""
    overrides: list[str]
    cases: list[tuple[str, str]]
    """Faults and policies, in the order in which they are tried."""
    nodes: int
    """Number of nodes of the cluster."""
    output: Path | None
    """Folder that keeps the runs; None: a temporary folder."""


class Chaos:
    """All cases of one call, run one after the other on one cluster.

    Raises UserError: the experiment is no good, or this Ray cannot list what runs left over.
    """

    def __init__(self, options: ChaosOptions) -> None:
        if not is_installed("grpc"):
            raise UserError("chaos needs Ray's state API: pip install 'fedrl-ray[cluster]'")
        self._options = options
        self._faults = {name: load(name) for name, _ in options.cases}
        self._experiment = loading.load(options.config, options.overrides)
        round_to_disturb(self._experiment)
        self._folder = Path()
        self._undisturbed: dict[str, Any] = {}

    def results(self) -> Generator[Result, None, None]:
        """Yield the result of each case, then end the cluster and its processes.

        Raise RunError if the cluster or the undisturbed run fails.
        """
        with ExitStack() as stack:
            self._folder = stack.enter_context(_folder(self._options.output))
            first = self._program(
                "undisturbed", ["federation.backend=in_process"], dict(os.environ)
            )
            stack.callback(first.kill)
            first.start()
            cluster = _cluster(self._experiment, self._options.nodes)
            stack.callback(cluster.close)
            notes.print(f"starting {cluster.size} nodes on this machine, and the undisturbed run")
            cluster.start()
            self._undisturbed = self._summary_of(first)
            yield from self._cases(cluster)

    def _cases(self, cluster: LocalCluster) -> Iterator[Result]:
        for name, policy in self._options.cases:
            cluster.start()
            yield self._case(cluster, name, policy).run()

    def _case(self, cluster: LocalCluster, name: str, policy: str) -> Case:
        fault = self._faults[name]()
        sets = [*fault.settings, "federation.backend=ray", f"federation.on_failure={policy}"]
        output = self._folder / f"{name}-{policy}"
        scene = Scene(
            experiment=loading.load(self._options.config, [*self._options.overrides, *sets]),
            cluster=cluster,
            program=self._program(output.name, sets, cluster.environment),
            observer=Observer(output),
            output=output,
        )
        return Case(name, fault, scene, self._undisturbed)

    def _program(self, name: str, sets: list[str], environment: dict[str, str]) -> Program:
        output = self._folder / name
        run_directory.require_free(output)
        arguments = [str(self._options.config), "--output", str(output), "--restartable", "--json"]
        arguments += [part for s in [*self._options.overrides, *sets] for part in ("--set", s)]
        return Program(arguments, environment, self._folder / f"{name}.log")

    def _summary_of(self, first: Program) -> dict[str, Any]:
        if not first.ends_within(math.inf) or first.status:
            raise RunError(f"the undisturbed run failed: {first.output()}")
        summary = run_directory.read_summary(self._folder / "undisturbed")
        assert summary is not None
        return summary


def _cluster(experiment: Experiment, nodes: int) -> LocalCluster:
    """Return a cluster of nodes of which each has room for all agents, one per actor."""
    k = experiment.federation.num_agents
    needs = together(experiment.resources, range(k))
    custom = {n: a for n, a in needs.items() if n not in ("CPU", "GPU", "memory")}
    return LocalCluster(
        nodes,
        cpus=math.ceil(k * max(1.0, needs.get("CPU", 1.0))),
        gpus=math.ceil(k * needs.get("GPU", 0.0)),
        custom=custom,
    )


def cases(faults: str | None, policy: str) -> list[tuple[str, str]]:
    """Return every fault (all, or names separated by commas) under every policy.

    Raise UserError for an unknown policy.
    """
    if policy not in (*POLICIES, "both"):
        raise UserError(f"--policy: must be rewind, continue or both; got {policy!r}")
    found = names() if faults is None else [name.strip() for name in faults.split(",")]
    return [(name, p) for p in POLICIES if policy in (p, "both") for name in found]


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """Yield the folder for the runs. Raise UserError if it is taken or cannot be written."""
    if output is None:
        with tempfile.TemporaryDirectory(prefix="fedrl-ray-chaos-") as folder:
            yield Path(folder)
        return
    run_directory.require_free(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: {error.strerror}") from None
    yield output
