"""The driver: rounds, averaging, evaluation, checkpoints and what to do when a host is lost.

    driver = Driver(load("experiment.yaml"), directory=Path("run"))
    while driver.server.round < driver.experiment.rounds:
        report = driver.step()

It is plain Python. Under `train` a Ray actor holds it, under Tune the trial does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from algorithms.types import ServerState

from ..agents.evaluation import GridEvaluator, evaluation_of_agents, initial_shared
from ..agents.execution_profile import differences, execution_profile, single_thread, unlike_nodes
from ..agents.messages import Evaluation, RoundOrder, RoundReply, RoundReport, WorkerFailure
from ..backends.backend import Backend
from ..backends.placement import build_backend
from ..common.errors import CheckpointError, RunError, UserError
from ..config import plugins
from ..config.checks import build_family
from ..config.schema import Experiment
from ..storage import checkpoints, digests, locations
from ..storage.agent_shards import Shard
from ..storage.local_mirror import CHECKPOINTS
from ..storage.locations import Location
from .participation import Participation
from .replies import Replies, require_read
from .resume_rules import require_fits, require_same_experiment, require_same_profile
from .round_metrics import merge_metrics, spread
from .timing import PhaseClock

Tell = Callable[..., None]


def _to_nobody(event: str, **fields: Any) -> None: ...


class Driver:
    """One federation. `server` is the global state; `directory`, a folder or a URI, holds its
    checkpoints.

    Without a directory nothing can be saved, and a lost host ends the run.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        directory: Location | None = None,
        backend: Backend | None = None,
    ) -> None:
        single_thread()
        self.experiment, self._folder = experiment, directory
        self._family = build_family(experiment)
        self._aggregator = plugins.load("aggregators", experiment.aggregator.name)(
            experiment.aggregator.settings
        )
        self.server = ServerState(round=0, shared=initial_shared(experiment, self._family))
        self._evaluator: GridEvaluator | None = None
        self.backend = build_backend(experiment) if backend is None else backend
        self._attempt = 0
        self._failures: list[str] = []  # since the last report
        self.clock = PhaseClock()
        self.tell: Tell = _to_nobody
        """Called with an event of `run_log.EVENTS` and its fields."""
        self._setbacks, self._furthest = 0, 0
        self._progress = {"agent_steps": 0.0, "seconds": 0.0}
        self._checkpoint: Location | None = None
        self._refused: set[Location] = set()
        self._profile = execution_profile(experiment.to_dict())
        self._participation = Participation(self.backend, experiment.federation)

    # -- the four verbs ---------------------------------------------------------------------

    def step(self) -> RoundReport:
        """One completed round. Under `rewind` it may be one that had been completed before."""
        started = time.perf_counter()
        while True:
            self._admit()
            workers = self._participation.present
            order = RoundOrder(
                round=self.server.round, attempt=self._attempt, shared=self.server.shared
            )
            taken = Replies(order)
            merged = self._merge(taken, workers)
            complete = self._is_quorum(taken.replies) if self._continues else not taken.lost
            self._spend(taken.waited, taken.replies if complete else [], bool(taken.lost))
            if taken.lost:
                self._recover(taken.lost)
            if complete:
                return self._complete(order, merged, taken, started)

    def evaluate(self) -> Evaluation | None:
        """Score the global policy; None where `evaluation.where` is none, or where a lost host
        sent the driver back (its `server.round` tells)."""
        where = self.experiment.evaluation.where
        with self.clock.phase("evaluation"):
            if where == "driver":
                if self._evaluator is None:
                    self._evaluator = GridEvaluator(self.experiment, self._family)
                return self._evaluator(self.server.shared)
            return self._evaluate_at_agents() if where == "agents" else None

    def save(self) -> Location | None:
        """Write a checkpoint of this round; None where a lost host sent the driver back."""
        with self.clock.phase("checkpoint"):
            return self._save(time.perf_counter())

    def _save(self, started: float) -> Location | None:
        folder = self._require_folder()
        aside = checkpoints.staging(folder, self.server.round)
        results = self.backend.save(str(aside), self._participation.present)
        lost = [r for r in results if isinstance(r, WorkerFailure)]
        if lost:
            first = self._checkpoint is None
            self._recover(lost)
            return self.save() if self._continues or first else None
        results += self._shards_of_the_absent(aside)
        self._checkpoint = checkpoints.commit(folder, aside, self._manifest(aside, results))
        self._refused.discard(self._checkpoint)
        checkpoints.prune(folder, self.experiment.checkpoint.keep)
        size = sum(r.bytes for r in results if isinstance(r, Shard))
        self.tell("checkpoint", bytes=size, seconds=round(time.perf_counter() - started, 6))
        return self._checkpoint

    def restore(self, path: Location, *, any_profile: bool = False) -> None:
        """Take up a checkpoint: server, agents, counters.

        Raises UserError when it is torn, edited, of another experiment, or was written under
        another execution profile (unless `any_profile`).
        """
        manifest = checkpoints.verify(path)
        require_same_experiment(path, manifest, self.experiment)
        if not any_profile:
            require_same_profile(path, manifest, self._profile)
        elif changed := differences(self._profile, manifest.profile):
            self._failures.append(f"resumed under another profile: {'; '.join(changed)}")
        server = checkpoints.read_server(path, manifest)
        require_fits(path, server.shared, self.server.shared)
        lost = self.backend.load(str(path), manifest.agent_files, range(len(self.groups)))
        require_read(lost)
        self.server = server
        self._progress, self._checkpoint = dict(manifest.progress), path
        if lost:
            self._recover(lost)

    def restore_newest(self, *, any_profile: bool = False) -> None:
        """Take up the newest checkpoint whose files are as they were written; the others are
        passed over and named in the log. Raises RunError where there is none."""
        while True:
            path = self._newest_sound()
            try:
                return self.restore(path, any_profile=any_profile)
            except CheckpointError as error:  # behind a URI hosts find out, each about its shard
                self._refuse(path, error)

    def _newest_sound(self) -> Location:
        for path in reversed(checkpoints.existing(self._require_folder())):
            if path in self._refused:
                continue
            try:
                checkpoints.verify(path)
            except CheckpointError as error:
                self._refuse(path, error)
            else:
                return path
        raise RunError(f"{self._folder}: no checkpoint to go back to reads")

    def _refuse(self, path: Location, error: CheckpointError) -> None:
        self._refused.add(path)
        self._failures.append(f"passed over: {error}")
        self.tell("checkpoint_refused", reason=str(error))

    def close(self) -> None:
        """Let go of the local agents."""
        self.backend.close()

    # -- convenience ------------------------------------------------------------------------

    def rounds(self) -> Iterator[RoundReport]:
        """The rounds that are left, as they complete."""
        while self.server.round < self.experiment.rounds:
            yield self.step()

    def digest(self) -> str:
        """sha256 of the global parameters."""
        return digests.of_arrays(self.server.shared)

    @property
    def newest_checkpoint(self) -> Location | None:
        """The checkpoint a rewind would take up."""
        return self._checkpoint

    @property
    def groups(self) -> Sequence[tuple[int, ...]]:
        """Agent ids of each host."""
        return self.backend.groups

    @property
    def exemptions(self) -> dict[str, str]:
        """Laws that do not hold in this run, each with its reason, as the plug-ins declare them."""
        learner = plugins.load("learners", self.experiment.learner.name)
        settings = self.experiment.learner.settings
        chosen = getattr(learner, "exemptions_of", lambda _: learner.exemptions)(settings)
        declared = {**chosen, **self._aggregator.exemptions, **self._family.exemptions}
        return declared | unlike_nodes(self.backend.places(), self._profile)

    @property
    def progress(self) -> dict[str, float]:
        """Agent steps and seconds spent in the rounds behind this state."""
        return dict(self._progress)

    # -- parts of a round -------------------------------------------------------------------

    def _spend(self, seconds: float, replies: Sequence[RoundReply], lost: bool) -> None:
        """A call to all hosts: the time of one that gave no round, or waited for a host that was
        lost, is recovery."""
        learning = max((r.seconds for r in replies), default=0.0)
        self.clock.add("learning", learning)
        self.clock.add("recovery" if lost else "communication", seconds - learning)

    def _merge(self, taken: Replies, workers: Sequence[int]) -> ServerState:
        """One round on the hosts: what comes back, merged while others are still at work."""
        partials = taken.partials(lambda: self.backend.run_round(taken.order, workers), workers)
        called = time.perf_counter()
        merged: ServerState = self._aggregator.merge(self.server, partials)
        self.clock.add("aggregation", time.perf_counter() - called - taken.waited)
        return merged

    def _complete(
        self, order: RoundOrder, merged: ServerState, taken: Replies, started: float
    ) -> RoundReport:
        replies = taken.replies
        failures, self._failures = tuple(self._failures), []
        steps = self.experiment.round_steps
        present = [agent for r in replies for agent in r.agent_ids]
        participants = len(present)
        self.server = merged
        seconds = time.perf_counter() - started
        self._progress["agent_steps"] += participants * steps
        self._progress["seconds"] += seconds
        if self.server.round > self._furthest:
            self._furthest, self._setbacks = self.server.round, 0
        metrics = merge_metrics(replies, self.experiment.federation.num_agents)
        return RoundReport(
            round=self.server.round,
            steps=self.server.round * steps,
            agent_steps=int(self._progress["agent_steps"]),
            metrics=metrics,
            drift=spread(metrics["update_norm"], order.shared, self.server.shared),
            participants=participants,
            seconds=seconds,
            learning=max(r.seconds for r in replies),
            bytes=taken.bytes,
            phases=self.clock.take(),
            absent=tuple(sorted(set(range(self.experiment.federation.num_agents)) - set(present))),
            failures=failures,
        )

    def _evaluate_at_agents(self) -> Evaluation | None:
        self._admit()
        workers = self._participation.present
        results = self.backend.evaluate(self.server.shared, workers)
        lost = [r for r in results if isinstance(r, WorkerFailure)]
        if lost:
            self._recover(lost)
            return self._evaluate_at_agents() if self._continues else None
        e = self.experiment
        k = e.federation.num_agents
        scores = np.full((k, e.evaluation.episodes), np.nan)  # NaN: agents that are absent
        for worker, result in zip(workers, results, strict=True):
            scores[list(self.backend.groups[worker])] = result
        dynamics = self._family.draw(
            e.environment.settings.perturb, seed=e.seed, agent_ids=range(k)
        )
        return evaluation_of_agents(scores, dynamics)

    # -- failures ---------------------------------------------------------------------------

    @property
    def _continues(self) -> bool:
        return self.experiment.federation.on_failure == "continue"

    def _is_quorum(self, replies: Sequence[RoundReply]) -> bool:
        present = sum(len(r.agent_ids) for r in replies)
        return self._continues and present >= self.experiment.federation.min_agents

    def _recover(self, lost: Sequence[WorkerFailure]) -> None:
        """Law 3. `rewind`: everybody goes back to the last checkpoint. `continue`: the lost agents
        are rebuilt from their own last shard and join at the next broadcast."""
        self._failures += [str(failure) for failure in lost]
        for failure in lost:
            self.tell("worker_lost", **self._described(failure))
        self._require_recoverable(lost)
        self._attempt += 1
        with self.clock.phase("recovery"):
            self._rebuild(lost)

    def _rebuild(self, lost: Sequence[WorkerFailure]) -> None:
        if self._checkpoint is None:  # lost while the first one was being written
            self.backend.rebuild(range(len(self.backend.groups)))
            return
        workers = sorted({failure.worker for failure in lost})
        self.backend.rebuild(workers)
        if self._continues:
            self._checkpoint = self._newest_sound()  # the lost agents' states, now and later
            self._participation.leave(workers)
            return
        before = self.server.round
        self.restore_newest(any_profile=True)
        self.tell("rewind", from_round=before, to_round=self.server.round)

    def _admit(self) -> None:
        """Let rebuilt workers join that are up, and wait for one only where too few are left."""
        self._participation.admit(self._join)
        while self._participation.needs_more:
            with self.clock.phase("recovery"):
                self._participation.await_one()
            self._participation.admit(self._join)

    def _join(self, worker: int) -> None:
        path = self._checkpoint = self._newest_sound()
        manifest = checkpoints.read_manifest(path)
        with self.clock.phase("recovery"):
            again = self.backend.load(str(path), manifest.agent_files, [worker])
        try:
            require_read(again)
        except CheckpointError as error:
            self._refuse(path, error)
            return self._join(worker)
        if again:
            self._recover(again)
        else:
            agents = list(self.backend.groups[worker])
            self.tell("rebuilt", agents=agents, from_round=manifest.round)

    def _shards_of_the_absent(self, aside: Location) -> list[Shard]:
        """Workers that have not joined again are checkpointed as they were last."""
        absent = self._participation.absent_agents
        if not absent or self._checkpoint is None:
            return []
        return checkpoints.carry_over(self._checkpoint, aside, absent)

    def _described(self, failure: WorkerFailure) -> dict[str, Any]:
        """A failure as fields of a log."""
        place = self.backend.places()[failure.worker]
        return {
            "agents": list(failure.agent_ids),
            "kind": failure.kind,
            "reason": failure.reason.strip(),
            "node": None if place is None else place.node,
            "pid": None if place is None else place.pid,
        }

    def _require_recoverable(self, lost: Sequence[WorkerFailure]) -> None:
        for failure in lost:
            if failure.kind == "exception":
                raise RunError(str(failure))
        limit = self.experiment.federation.max_rewinds
        self._setbacks += 1
        if self._setbacks > limit:
            raise RunError(
                f"{self._setbacks} failures without a new round completed "
                f"(federation.max_rewinds is {limit}); the last: {lost[-1]}"
            )
        if self._checkpoint is None and (self.server.round or self._folder is None):
            raise RunError(f"{lost[-1]}; there is no checkpoint to go back to")

    # -- checkpoints ------------------------------------------------------------------------

    def _manifest(self, aside: Location, results: Sequence[Any]) -> checkpoints.Manifest:
        return checkpoints.Manifest(
            fingerprint=self.experiment.fingerprint(),
            identity=self.experiment.identity(),
            profile=self._profile,
            round=self.server.round,
            digest=self.digest(),
            server_sha256=checkpoints.write_server(aside, self.server),
            shards=tuple(r for r in results if isinstance(r, Shard)),
            progress=dict(self._progress),
        )

    def _require_folder(self) -> Location:
        if self._folder is None:
            raise UserError("a driver without a directory cannot save")
        return locations.child(self._folder, CHECKPOINTS)
