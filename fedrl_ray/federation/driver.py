"""The driver: rounds, aggregation, evaluations and checkpoints of one federation.

    driver = Driver(load("experiment.yaml"), directory=Path("run"))
    while driver.server.round < driver.experiment.rounds:
        report = driver.step()

The driver is plain Python. Under `train` a Ray actor may hold it; under Tune the trial does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from ..agents.evaluation import GridEvaluator, evaluation_of_agents, initial_shared
from ..agents.execution_profile import execution_profile, single_thread, unlike_nodes
from ..agents.messages import Evaluation, RoundOrder, RoundReport, WorkerFailure
from ..backends.backend import Backend
from ..backends.plan import build_backend, make_plan
from ..common.errors import CheckpointError
from ..config.build import build_client_sampler, build_family
from ..config.schema import Experiment
from ..storage import digests
from ..storage.agent_shards import Shard
from ..storage.locations import Location
from .checkpoint_keeper import CheckpointKeeper
from .exemptions import exemptions_of
from .participation import Participation
from .recovery import POLICIES, Tell, to_nobody
from .replies import Replies, require_read
from .resume_rules import require_fits
from .round_metrics import round_report
from .saved_state import read_saved, write_saved
from .server_update import ServerUpdate, Update
from .timing import PhaseClock


class Driver:
    """One federation. `server` is the global state; `directory` holds its checkpoints.

    directory: a folder or a URI; without one nothing can be saved, and a lost worker ends the run.
    backend: where the agents live; None starts the one that the experiment asks for.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        directory: Location | None = None,
        backend: Backend | None = None,
    ) -> None:
        single_thread()
        self.experiment = experiment
        self._family = build_family(experiment)
        self._update = ServerUpdate(experiment)
        self.server = self._update.initial_state(initial_shared(experiment, self._family))
        self._evaluator: GridEvaluator | None = None
        self.backend = backend or build_backend(experiment, make_plan(experiment))
        self.failures: list[str] = []
        """Failures since the last report, in words."""
        self.clock = PhaseClock()
        self.tell: Tell = to_nobody
        """Called with an event of `runs.events.EVENTS` and its fields."""
        self._progress = {"agent_steps": 0.0, "seconds": 0.0}
        self._profile = execution_profile(experiment.to_dict())
        federation, sampler = experiment.federation, build_client_sampler(experiment)
        self.participation = Participation(self.backend, federation, sampler)
        self.checkpoints = CheckpointKeeper(directory, experiment.checkpoint.keep, self._refused)
        self._recovery = POLICIES[federation.on_failure](self, federation)

    # -- the four verbs ---------------------------------------------------------------------

    def step(self) -> RoundReport:
        """Complete one round and report it.

        Under `rewind` it may be a round that had been completed before.
        """
        started = time.perf_counter()
        while True:
            self._recovery.admit()
            taken = Replies(self._order())
            absent, update = self.participation.absent_agents, self._run(taken)
            accepted = update is not None and self._recovery.accepts(taken)
            self.clock.add_call(taken.waited, taken.learning * accepted, lost=bool(taken.lost))
            if taken.lost:
                self._recovery.recover(taken.lost)
            if update is not None and accepted:
                return self._complete(update, taken, absent, started)

    def evaluate(self) -> Evaluation | None:
        """Score the global policy.

        Returns None if `evaluation.where` is none, or if a lost worker sent the driver back (its
        `server.round` tells).
        """
        where = self.experiment.evaluation.where
        with self.clock.phase("evaluation"):
            if where == "driver":
                if self._evaluator is None:
                    self._evaluator = GridEvaluator(self.experiment, self._family)
                return self._evaluator(self.server.shared)
            return self._evaluate_at_agents() if where == "agents" else None

    def save(self) -> Location | None:
        """Write a checkpoint of this round; return None if a lost worker sent the driver back."""
        with self.clock.phase("checkpoint"):
            return self._save(time.perf_counter())

    def restore(self, path: Location, *, any_profile: bool = False) -> None:
        """Load a checkpoint: server, agents, counters.

        Raises UserError if it is torn, edited or of another experiment, or if it was written under
        another execution profile (unless `any_profile`).
        """
        found = read_saved(path, self.experiment, self._profile, any_profile=any_profile)
        require_fits(path, found.server.shared, self.server.shared)
        lost = self.backend.load(str(path), found.agent_files, range(len(self.groups)))
        require_read(lost)
        self.server, self._progress = found.server, found.progress
        self.checkpoints.newest = path
        self.failures += found.remarks
        if lost:
            self._recovery.recover(lost)

    def restore_newest(self, *, any_profile: bool = False) -> None:
        """Load the newest checkpoint that is as it was written; log the others.

        Raises RunError if there is none.
        """
        while True:
            path = self.checkpoints.newest_sound()
            try:
                return self.restore(path, any_profile=any_profile)
            except CheckpointError as error:  # behind a URI each worker finds out about its shard
                self.checkpoints.refuse(path, error)

    def close(self) -> None:
        """Close the backend and with it the local agents."""
        self.backend.close()

    # -- convenience ------------------------------------------------------------------------

    def rounds(self) -> Iterator[RoundReport]:
        """Yield the reports of the rounds that are left, as they complete."""
        while self.server.round < self.experiment.rounds:
            yield self.step()

    def digest(self) -> str:
        """Return the sha256 of the global parameters."""
        return digests.of_arrays(self.server.shared)

    @property
    def newest_checkpoint(self) -> Location | None:
        """The checkpoint that a rewind would load."""
        return self.checkpoints.newest

    @property
    def groups(self) -> Sequence[tuple[int, ...]]:
        """Agent ids of each worker."""
        return self.backend.groups

    @property
    def exemptions(self) -> dict[str, str]:
        """Laws that do not hold in this run, each with its reason, as the plug-ins declare them."""
        declared = exemptions_of(self.experiment, self._family)
        return declared | unlike_nodes(self.backend.places(), self._profile)

    @property
    def progress(self) -> dict[str, float]:
        """Agent steps and seconds spent in the rounds behind this state."""
        return dict(self._progress)

    # -- parts of a round -------------------------------------------------------------------

    def _order(self) -> RoundOrder:
        agent_ids = np.array(self.participation.sample(self.server.round), dtype=np.int64)
        return RoundOrder(
            round=self.server.round,
            attempt=self._recovery.attempt,
            shared=self.server.shared,
            agent_ids=agent_ids,
            clocks=self.server.clocks[agent_ids],
        )

    def _run(self, taken: Replies) -> Update | None:
        """Do one round, merging messages while other workers are still at work.

        Returns None if no reply came.
        """
        order, started = taken.order, time.perf_counter()
        workers = self.participation.workers_of(order.agent_ids.tolist())
        messages = taken.messages(lambda: self.backend.run_round(order, workers), workers)
        update = self._update.merge(self.server, messages, taken)
        self.clock.add("aggregation", time.perf_counter() - started - taken.waited)
        return update

    def _complete(
        self, update: Update, taken: Replies, absent: set[int], started: float
    ) -> RoundReport:
        self.server = update.server
        seconds = time.perf_counter() - started
        self._progress["agent_steps"] += len(taken.agent_ids) * self.experiment.round_steps
        self._progress["seconds"] += seconds
        self._recovery.completed(self.server.round)
        failures, self.failures = self.failures, []
        return round_report(
            self.experiment,
            update,
            taken,
            absent=absent,
            progress=self._progress,
            seconds=seconds,
            phases=self.clock.take(),
            failures=failures,
        )

    def _evaluate_at_agents(self) -> Evaluation | None:
        self._recovery.admit()
        workers = self.participation.present
        results = self.backend.evaluate(self.server.shared, workers)
        scores = [r for r in results if not isinstance(r, WorkerFailure)]
        lost = [r for r in results if isinstance(r, WorkerFailure)]
        if lost:
            return self._evaluate_at_agents() if self._recovery.recover(lost) else None
        groups = [self.backend.groups[worker] for worker in workers]
        return evaluation_of_agents(self.experiment, self._family, groups, scores)

    # -- checkpoints ------------------------------------------------------------------------

    def _save(self, started: float) -> Location | None:
        aside = self.checkpoints.staging(self.server.round)
        results = self.backend.save(str(aside), self.participation.present)
        lost = [r for r in results if isinstance(r, WorkerFailure)]
        if lost:
            return self._save(started) if self._recovery.recover(lost) else None
        shards = [r for r in results if isinstance(r, Shard)]
        carried = self.checkpoints.carry_over(aside, self.participation.absent_agents)
        manifest = write_saved(
            aside, self.experiment, self._profile, self.server, [*shards, *carried], self._progress
        )
        path = self.checkpoints.commit(aside, manifest)
        size, seconds = sum(shard.bytes for shard in shards), time.perf_counter() - started
        self.tell("checkpoint", bytes=size, seconds=round(seconds, 6))
        return path

    def _refused(self, error: CheckpointError) -> None:
        self.failures.append(f"passed over: {error}")
        self.tell("checkpoint_refused", reason=str(error))
