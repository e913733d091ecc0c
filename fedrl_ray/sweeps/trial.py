"""One trial: a run under Ray Tune. Its own process holds the driver.

Tune's checkpoint of a trial is a small JSON file that names a checkpoint in the trial's own run
directory. In a population a copy of that checkpoint goes with it. A trial that starts goes on where
its run directory ends, and first reports the rows that Tune has not seen, in order.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import traceback
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT, TIMESTEPS_TOTAL

from ..analysis.return_statistics import cvar
from ..backends.backend import Backend
from ..backends.plan import build_backend, make_plan
from ..common.errors import RunError, UserError, one_line
from ..common.exits import exits_as_errors
from ..common.modules import look_in_working_directory
from ..common.text_files import write_text
from ..config.schema import Experiment
from ..federation.driver import Driver
from ..runs import run_directory
from ..runs.events import to_stderr
from ..runs.run import Run
from ..storage.locations import name_of
from . import directory, pbt_exploit
from .points import Point
from .settings import TrialSettings, trial_experiment

REFERENCE, STATE = "trial.json", "state"
CVAR_FRACTION = 0.25
FAILING = "failing"
NAN = float("nan")
NOTHING_YET = dict.fromkeys(("nominal", "average", "worst", "cvar"), NAN) | {
    "steps": 0,
    "agent_steps": 0,
    "done": False,
}


class FederationTrial(tune.Trainable):
    """A trial of a sweep; its `config` is {"trial": {"point": ..., "seed": ...}}.

    An iteration of Tune is the rounds up to the next evaluation.
    """

    _directory: Path
    _experiment: Experiment
    _last: dict[str, Any]
    _told: bool

    def setup(self, config: dict[str, Any], **parameters: Any) -> None:
        """Prepare the trial; `parameters` holds the sweep's `settings`."""
        self._settings: TrialSettings = parameters["settings"]
        to_stderr()
        look_in_working_directory()
        self._run: Run | None = None
        self._backend: Backend | None = None
        self._reported = 0  # steps of the last row that Tune has seen
        self._rows: deque[dict[str, Any]] = deque()
        self._prepare(config)

    def step(self) -> dict[str, Any]:
        """Return the next evaluation.

        An exception is written to failure.json, reported to Tune in a last result, and raised at
        the next step. The last result keeps Tune from trying again, as it does after a death.
        """
        failure = directory.read_failure(self._directory)
        if failure is not None and self._told:
            raise RunError(failure["reason"])
        try:
            if failure is None:
                with exits_as_errors():
                    self._last = self._step()
                return self._last
        except Exception as error:
            self._note_failure(error)
        self._told = True
        return self._last | {FAILING: True, SHOULD_CHECKPOINT: False}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write a checkpoint of the run, and a reference to it into Tune's folder."""
        run, folder = self._open(), Path(checkpoint_dir)
        run.checkpoint()
        reference = {"trial": self.trial_name, "round": run.driver.server.round, "steps": run.steps}
        (folder / REFERENCE).write_text(json.dumps(reference), encoding="utf-8")
        newest = run.driver.newest_checkpoint
        if self._settings.is_population and isinstance(newest, Path):  # another trial may need it
            shutil.copytree(newest, folder / STATE)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Take over the state of a checkpoint, this trial's or another's, in a population.

        Without a population the run simply goes on where its directory ends.
        """
        reference = json.loads((Path(checkpoint) / REFERENCE).read_text(encoding="utf-8"))
        self._reported = reference["steps"]
        if not self._settings.is_population or directory.read_failure(self._directory):
            return
        self._let_go()
        try:
            state = Path(checkpoint) / STATE
            with exits_as_errors():
                pbt_exploit.exploit(
                    self._directory, self._experiment, self._point, state, reference
                )
        except Exception as error:
            self._note_failure(error)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Run another trial in this process. Return False if the local agents cannot stay."""
        before = self._experiment
        self._end_run()
        self._reported = 0
        self._prepare(new_config)
        return directory.read_failure(self._directory) is not None or agents_can_stay(
            before, self._experiment
        )

    def cleanup(self) -> None:
        """End the run and its workers."""
        self._end_run()
        if self._backend is not None:
            self._backend.close()

    def _end_run(self) -> None:
        """End the run as it is. A run that is stopped early can still be resumed."""
        run, failed = self._run, directory.read_failure(self._directory)
        if run is not None and not failed and not (self._directory / "summary.json").exists():
            with contextlib.suppress(Exception), exits_as_errors():
                run.finish()
        self._let_go()

    def _prepare(self, config: dict[str, Any]) -> None:
        """Set up the trial of a config. It has failed at once if it is no legal experiment."""
        self._last, self._told = NOTHING_YET, False
        self._point: Point = config["trial"]["point"]
        self._directory = self._settings.directory / "trials" / self.trial_name
        try:
            with exits_as_errors():
                self._experiment = trial_experiment(self._settings, config)
        except (UserError, RunError) as error:
            self._note_failure(error)

    def _step(self) -> dict[str, Any]:
        run = self._open()
        while not self._rows and not run.done:
            report = run.advance()
            if report.evaluation is not None:
                row = {"round": report.round, "steps": report.steps}
                self._rows.append(row | report.evaluation.to_dict())
        if run.done and not (self._directory / "summary.json").exists():
            run.finish()
        return self._result(run)

    def _result(self, run: Run) -> dict[str, Any]:
        row = self._rows.popleft() if self._rows else self._last_row()
        self._reported = row["steps"]
        agents = self._experiment.federation.num_agents
        figures = {name: row.get(name) for name in ("nominal", "average", "worst")}
        return {
            **{name: NAN if x is None else x for name, x in figures.items()},
            "cvar": float(cvar(np.array(row["returns"]), CVAR_FRACTION)),
            "steps": row["steps"],
            "agent_steps": row["steps"] * agents,
            TIMESTEPS_TOTAL: row["steps"],  # the x axis of the trackers
            "done": run.done and not self._rows,
            SHOULD_CHECKPOINT: not self._rows and self._checkpoint_is_due(run),
        }

    def _last_row(self) -> dict[str, Any]:
        """Return the final evaluation again: Tune died before it had recorded it."""
        return run_directory.read_rows(self._directory / run_directory.EVALUATIONS)[-1]

    def _checkpoint_is_due(self, run: Run) -> bool:
        """Return True if the run has just written a checkpoint of its own."""
        newest = run.driver.newest_checkpoint
        return newest is not None and name_of(newest).endswith(f"{run.driver.server.round:08d}")

    def _open(self) -> Run:
        """Return the run. Open it at the first call: new, or where its directory ends."""
        if self._run is None:
            there = (self._directory / run_directory.CONFIG).exists()
            if there and self._settings.is_population:
                there = pbt_exploit.holds(self._directory, self._experiment)
            if not there:  # a trial that died before it began may have left files
                shutil.rmtree(self._directory, ignore_errors=True)
            driver = self._driver()
            self._run = Run(
                self._experiment,
                self._directory,
                resume=there,
                any_profile=True,  # a node with another processor is better than a failed trial
                fall_back=True,
                driver=driver,
            )
            rows = run_directory.read_rows(self._directory / run_directory.EVALUATIONS)
            new = [row for row in rows if row["steps"] > self._reported]
            # a population has acted on the older rows; acting twice would change keys once more
            self._rows = deque(new[-1:] if self._settings.is_population else new)
        return self._run

    def _driver(self) -> Driver:
        backend, self._backend = self._backend, None
        if backend is None:
            backend = build_backend(
                self._experiment, make_plan(self._experiment, self._settings.nodes)
            )
        else:
            backend.reset(self._experiment.to_dict())
        return Driver(self._experiment, directory=self._directory, backend=backend)

    def _let_go(self) -> None:
        if self._run is not None:
            self._backend = self._run.detach()
        self._run = None

    def _note_failure(self, error: Exception) -> None:
        """Write the reason for the failure, and the traceback of an unexpected error."""
        ours = isinstance(error, UserError | RunError | OSError)
        text = str(error) if ours else f"{type(error).__name__}: {error}"
        note = {"reason": one_line(text)}
        if not ours or "\n" in text:
            note["traceback"] = text if "\n" in text else traceback.format_exc()
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / directory.FAILURE
        write_text(path, json.dumps(note, indent=1))


def agents_can_stay(old: Experiment, new: Experiment) -> bool:
    """Return True if the workers of one experiment can be reset to another.

    Learner, environment, number of agents and packing must be equal; then the resources are, too.
    """

    def key(e: Experiment) -> tuple[Any, ...]:
        f = e.federation
        return (e.learner.name, e.environment, f.num_agents, f.backend, f.agents_per_actor)

    return key(old) == key(new)
