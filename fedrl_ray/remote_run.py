"""A run inside a Ray actor: the driver actor of `train`, and its handle."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError

from . import cluster, config
from .config import Experiment
from .errors import RunError, UserError
from .messages import RoundReport


class DriverActor:
    """Holds a `Run`. Errors come back as values, so that they keep their own words."""

    def __init__(self, experiment: Mapping[str, Any], directory: str, options: Any) -> None:
        self._build = (experiment, directory, options)
        self._run: Any = None

    def call(self, method: str) -> tuple[str, Any]:
        """`("fine", result)`, `("user", words)` or `("run", words)`."""
        try:
            return "fine", getattr(self, f"_{method}")()
        except UserError as error:
            return "user", str(error)
        except RunError as error:
            return "run", str(error)
        except Exception:
            return "run", "\n" + traceback.format_exc().rstrip()

    def _start(self) -> bool:
        from .run import Run

        experiment, directory, options = self._build
        self._run = Run(config.from_dict(experiment), Path(directory), **options)
        return bool(self._run.done)

    def _facts(self) -> tuple[list[int], dict[str, str]]:
        return self._run.packing, self._run.driver.exemptions

    def _advance(self) -> tuple[RoundReport, bool]:
        return self._run.advance(), self._run.done

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
        directory: Path,
        *,
        resume: bool = False,
        any_profile: bool = False,
    ) -> None:
        cluster.connect()
        self.experiment, self.directory = experiment, directory
        self._options = {"resume": resume, "any_profile": any_profile}
        self._setbacks = 0
        self.done = False
        self.packing: list[int] = []
        self.exemptions: dict[str, str] = {}
        self._launch()

    def advance(self) -> RoundReport:
        """One round; after a death of the driver, the first one since the checkpoint."""
        try:
            report, self.done = self._ask("advance")
        except RayActorError as error:
            self._setbacks += 1
            if self._setbacks > self.experiment.federation.max_rewinds:
                raise RunError(f"the driver died {self._setbacks} times: {error}") from None
            self._options["resume"] = True
            self._launch()
            return self.advance()
        return report  # type: ignore[no-any-return]

    def finish(self) -> dict[str, Any]:
        """Checkpoint and summary.json; its content."""
        return self._ask("finish")  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the actor and with it the agents."""
        with contextlib.suppress(RayActorError, RunError, UserError):
            self._ask("close")  # unless it is gone already
        ray.kill(self._actor)

    def _launch(self) -> None:
        self._actor: Any = (
            ray.remote(DriverActor)
            .options(num_cpus=0)
            .remote(self.experiment.to_dict(), str(self.directory.absolute()), self._options)
        )
        self.done = self._ask("start")
        self.packing, self.exemptions = self._ask("facts")

    def _ask(self, method: str) -> Any:
        kind, value = ray.get(self._actor.call.remote(method))
        if kind == "fine":
            return value
        raise UserError(value) if kind == "user" else RunError(value)
