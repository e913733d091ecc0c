"""A run inside a Ray actor: the driver actor of `train`, and its handle."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnschedulableError, RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..ray_cluster import cluster
from ..config import loading
from ..storage import locations
from ..config.schema import Experiment
from ..common.errors import RunError, UserError, one_line
from ..agents.messages import RoundReport
from ..backends.placement import plan_on_cluster
from .run_directory import CONFIG
from .events import to_stderr
from ..ray_cluster.shared_storage import require_shared
from ..storage.locations import Location
from ..common.console import notes

PATIENCE_SECONDS = 15.0
"""How long a start is waited for in silence."""


class DriverActor:
    """Holds a `Run`. Errors come back as values, so that they keep their own words."""

    def __init__(self, experiment: Mapping[str, Any], location: str, options: Any) -> None:
        to_stderr()
        self._build = (experiment, location, options)
        self._run: Any = None

    def call(self, method: str) -> tuple[str, Any]:
        """`("fine", result)`, `("user", words)` or `("run", words)`."""
        try:
            return "fine", getattr(self, f"_{method}")()
        except UserError as error:
            return "user", str(error)
        except RunError as error:
            return "run", str(error)
        except OSError as error:  # a full disk, a folder not writable
            return "run", str(error) if error.filename else f"{self._build[1]}: {error}"
        except Exception:
            return "run", "\n" + traceback.format_exc().rstrip()

    def _start(self) -> bool:
        from .run import Run

        experiment, location, options = self._build
        self._run = Run(loading.from_dict(experiment), locations.parse(location), **options)
        return bool(self._run.done)

    def _facts(self) -> tuple[list[int], dict[str, str], str]:
        return self._run.packing, self._run.driver.exemptions, str(self._run.memory)

    def _advance(self) -> tuple[RoundReport | None, bool]:
        """A report, and whether the budget is spent; no report where it was spent before."""
        report = None if self._run.done else self._run.advance()
        return report, self._run.done

    def _finish(self) -> dict[str, Any]:
        summary: dict[str, Any] = self._run.finish()
        return summary

    def _close(self) -> None:
        self._run.close()


class RemoteRun:
    """The same verbs as `Run`, in an actor of its own.

    Should the driver's actor die, another takes up the newest checkpoint; its agents died with it.
    """

    def __init__(
        self,
        experiment: Experiment,
        location: Location,
        *,
        resume: bool = False,
        any_profile: bool = False,
        fall_back: bool = False,
    ) -> None:
        cluster.connect()
        plan_on_cluster(experiment)  # a refusal in seconds, before any process is started
        require_shared(location)
        self.experiment, self.location = experiment, location
        self._options: dict[str, Any] = {
            "resume": resume,
            "any_profile": any_profile,
            "fall_back": fall_back,
        }
        self._furthest, self._deaths = 0, 0
        self._told: list[str] = []
        self.done = False
        self.packing: list[int] = []
        self.exemptions: dict[str, str] = {}
        self.memory = ""
        self._actor: Any = None
        self._insist("facts")

    def advance(self) -> RoundReport | None:
        """One round; after a death of the driver, the first one since the checkpoint. None where
        the budget was spent already."""
        report, self.done = self._insist("advance")
        if report is None:
            return None
        if report.round > self._furthest:
            self._furthest, self._deaths = report.round, 0
        told, self._told = tuple(self._told), []
        return replace(report, failures=told + report.failures)  # type: ignore[no-any-return]

    def finish(self) -> dict[str, Any]:
        """Checkpoint and summary.json; its content."""
        return self._insist("finish")  # type: ignore[no-any-return]

    def close(self, *, at_once: bool = False) -> None:
        """End the actor and with it the agents; `at_once` does not wait for a round to end."""
        if not at_once:
            with contextlib.suppress(RayError, RunError, UserError):
                self._ask("close", timeout=30.0)  # unless it is gone already
        if self._actor is not None:
            ray.kill(self._actor)

    def _launch(self) -> None:
        location = self.location
        where = str(location.absolute()) if isinstance(location, Path) else location
        self._actor = (
            ray.remote(DriverActor)
            .options(num_cpus=0, scheduling_strategy=_near())
            .remote(self.experiment.to_dict(), where, self._options)
        )
        self.done = self._ask("start", tell=True)
        self.packing, self.exemptions, self.memory = self._ask("facts")

    def _insist(self, method: str) -> Any:
        """Ask, and ask a new driver that resumes where the old one died."""
        while True:
            try:
                if self._actor is None:
                    self._launch()
                return self._ask(method)
            except (RayActorError, ActorUnschedulableError) as error:
                self._count_death(error)

    def _count_death(self, error: RayError) -> None:
        """Raises RunError after `max_rewinds` deaths without a new round."""
        self._deaths += 1
        ray.kill(self._actor)  # one that is only out of reach must not go on beside its successor
        self._told.append("the driver died; another takes up the newest checkpoint")
        if self._deaths > self.experiment.federation.max_rewinds:
            raise RunError(
                f"the driver died {self._deaths} times without a new round completed "
                f"(federation.max_rewinds is {self.experiment.federation.max_rewinds}): "
                + " ".join(str(error).split())[:200]
            ) from None
        begun = locations.exists(locations.child(self.location, CONFIG))
        self._options |= {
            "resume": begun,
            "fall_back": True,
            "any_profile": True,  # the node that takes over may differ; the log says so
            "driver_died": one_line(error),
        }
        self._actor = None

    def _ask(self, method: str, timeout: float | None = None, *, tell: bool = False) -> Any:
        call = self._actor.call.remote(method)
        while tell and not ray.wait([call], timeout=PATIENCE_SECONDS)[0]:
            notes.print(f"still starting: {cluster.occupancy()}", soft_wrap=True)
        kind, value = ray.get(call, timeout=timeout)
        if kind == "fine":
            return value
        raise UserError(value) if kind == "user" else RunError(value)


def _near() -> NodeAffinitySchedulingStrategy | str:
    """On this program's own node while that is alive. Ray takes a soft wish for nothing where an
    actor asks for no CPU."""
    here = ray.get_runtime_context().get_node_id()
    if any(node["NodeID"] == here for node in cluster.nodes()):
        return NodeAffinitySchedulingStrategy(here, soft=False)
    return "DEFAULT"
