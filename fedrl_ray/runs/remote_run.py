"""A run inside a Ray actor: the driver actor of `train`, and its handle."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypedDict, TypeVar

import ray
from ray.exceptions import ActorUnschedulableError, RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..agents.messages import RoundReport
from ..backends.plan import Plan, make_plan
from ..common.console import notes
from ..common.errors import RunError, UserError, one_line
from ..common.exits import exits_as_errors
from ..common.modules import look_in_working_directory
from ..config import loading
from ..config.schema import Experiment
from ..ray_cluster import cluster
from ..ray_cluster.shared_storage import require_shared
from ..storage import locations
from ..storage.locations import Location
from .events import to_stderr
from .run_directory import CONFIG
from .training_run import TrainingRun

if TYPE_CHECKING:
    from .run import Run

PATIENCE_SECONDS = 15.0
"""Seconds before a start is reported as still going on."""


T = TypeVar("T")


class RunOptions(TypedDict, total=False):
    """Keyword arguments of `Run` that a driver's actor is given."""

    resume: bool
    any_profile: bool
    fall_back: bool
    driver_died: str


class Started(NamedTuple):
    """A run that has been opened."""

    done: bool
    exemptions: dict[str, str]


class Advanced(NamedTuple):
    """A report (None if the budget was spent before), and True in `done` if it is spent now."""

    report: RoundReport | None
    done: bool


@dataclass(frozen=True)
class Answer(Generic[T]):
    """The result of a call of the driver's actor, or the words of its error."""

    value: T | None = None
    user_error: str | None = None
    run_error: str | None = None


class DriverActor:
    """A Ray actor that holds a `Run`. Errors come back as values, so they keep their own words."""

    def __init__(
        self, experiment: Mapping[str, Any], location: str, plan: Plan, options: RunOptions
    ) -> None:
        to_stderr()
        look_in_working_directory()
        self._build = (experiment, location, plan, options)
        self._run: Run | None = None

    def start(self) -> Answer[Started]:
        """Open the run, which builds its driver and its workers."""
        return self._answer(self._open)

    def advance(self) -> Answer[Advanced]:
        """Complete one round, unless the budget is spent."""
        return self._answer(
            lambda: Advanced(None if self.run.done else self.run.advance(), self.run.done)
        )

    def finish(self) -> Answer[dict[str, Any]]:
        """Write the last checkpoint and summary.json."""
        return self._answer(self.run.finish)

    def close(self) -> Answer[None]:
        """Close the run."""
        return self._answer(self.run.close)

    @property
    def run(self) -> Run:
        """The run, once started."""
        assert self._run is not None
        return self._run

    def _open(self) -> Started:
        from .run import Run

        experiment, location, plan, options = self._build
        where = locations.parse(location)
        self._run = Run(loading.from_dict(experiment), where, plan=plan, **options)
        return Started(self._run.done, self._run.exemptions)

    def _answer(self, call: Callable[[], T]) -> Answer[T]:
        try:
            with exits_as_errors():
                return Answer(call())
        except UserError as error:
            return Answer(user_error=str(error))
        except RunError as error:
            return Answer(run_error=str(error))
        except OSError as error:  # a full disk, a folder not writable
            text = str(error) if error.filename else f"{self._build[1]}: {error}"
            return Answer(run_error=text)
        except Exception:
            return Answer(run_error="\n" + traceback.format_exc().rstrip())


class RemoteRun(TrainingRun):
    """The same run in an actor of its own.

    If the driver's actor dies, a new one resumes from the newest checkpoint; the workers died with
    the old one.
    """

    def __init__(
        self,
        experiment: Experiment,
        location: Location,
        plan: Plan | None = None,
        *,
        resume: bool = False,
        any_profile: bool = False,
        fall_back: bool = False,
    ) -> None:
        self._plan = plan or make_plan(experiment)
        require_shared(location)
        self.experiment, self.location = experiment, location
        self._options: RunOptions = {
            "resume": resume,
            "any_profile": any_profile,
            "fall_back": fall_back,
        }
        self._furthest, self._deaths = 0, 0
        self._told: list[str] = []
        self.done = False
        self.exemptions = {}
        self._actor: Any = None
        self._insist(lambda: None)

    def advance(self) -> RoundReport | None:
        """Complete one round; after a death of the driver, the first one since the checkpoint.

        Return None if the budget was spent already.
        """
        report, self.done = self._insist(lambda: self._ask(self._actor.advance))
        if report is None:
            return None
        if report.round > self._furthest:
            self._furthest, self._deaths = report.round, 0
        told, self._told = tuple(self._told), []
        return replace(report, failures=told + report.failures)  # type: ignore[no-any-return]

    def finish(self) -> dict[str, Any]:
        """Write a checkpoint and summary.json; return its content."""
        return self._insist(lambda: self._ask(self._actor.finish))

    def close(self, *, at_once: bool = False) -> None:
        """End the actor and with it the agents; `at_once` does not wait for a round to end."""
        if not at_once:
            with contextlib.suppress(RayError, RunError, UserError):
                self._ask(self._actor.close, timeout=30.0)  # raises if the actor is gone already
        if self._actor is not None:
            ray.kill(self._actor)

    def _launch(self) -> None:
        location = self.location
        where = str(location.absolute()) if isinstance(location, Path) else location
        self._actor = (
            ray.remote(DriverActor)
            .options(num_cpus=0, scheduling_strategy=_near())
            .remote(self.experiment.to_dict(), where, self._plan, self._options)
        )
        self.done, self.exemptions = self._ask(self._actor.start, tell=True)

    def _insist(self, call: Callable[[], T]) -> T:
        """Make a call; if the driver dies, make it again on a new driver that has resumed."""
        while True:
            try:
                if self._actor is None:
                    self._launch()
                return call()
            except (RayActorError, ActorUnschedulableError) as error:
                self._count_death(error)

    def _count_death(self, error: RayError) -> None:
        """Prepare a new driver. Raises RunError after `max_rewinds` deaths without a new round."""
        self._deaths += 1
        ray.kill(self._actor)  # one that is only out of reach must not go on beside the new one
        self._told.append("the driver died; a new one goes on from the newest checkpoint")
        if self._deaths > self.experiment.federation.max_rewinds:
            raise RunError(
                f"the driver died {self._deaths} times without a new round completed "
                f"(federation.max_rewinds is {self.experiment.federation.max_rewinds}): "
                + " ".join(str(error).split())[:200]
            ) from None
        begun = locations.exists(locations.child(self.location, CONFIG))
        self._options = {
            "resume": begun,
            "fall_back": True,
            "any_profile": True,  # the node that takes over may differ; the log says so
            "driver_died": one_line(error),
        }
        self._actor = None
        self._plan = make_plan(self.experiment)  # the cluster may have lost a node

    def _ask(self, method: Any, timeout: float | None = None, *, tell: bool = False) -> Any:
        """Call a method of the actor. method: `self._actor.NAME`, which Ray does not type."""
        call = method.remote()
        while tell and not ray.wait([call], timeout=PATIENCE_SECONDS)[0]:
            notes.print(f"still starting: {cluster.occupancy()}", soft_wrap=True)
        answer: Answer[Any] = ray.get(call, timeout=timeout)
        if answer.user_error is not None:
            raise UserError(answer.user_error)
        if answer.run_error is not None:
            raise RunError(answer.run_error)
        return answer.value


def _near() -> NodeAffinitySchedulingStrategy | str:
    """Return a strategy that places the actor on this program's own node while that is alive."""
    # a soft affinity would not do: Ray ignores it if an actor asks for no CPU
    here = ray.get_runtime_context().get_node_id()
    if any(node["NodeID"] == here for node in cluster.nodes()):
        return NodeAffinitySchedulingStrategy(here, soft=False)
    return "DEFAULT"
