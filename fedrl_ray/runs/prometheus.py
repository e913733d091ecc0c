"""A run's figures as metrics of Ray, which every node offers to Prometheus.

Counters count what was done, rounds repeated after a rewind included; gauges say where a run is.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any, Literal, NamedTuple

from ..agents.messages import RoundReport


class Metric(NamedTuple):
    """Ray puts `ray_` before the name, and `_total` after that of a counter."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    tags: tuple[str, ...]
    meaning: str


METRICS = (
    Metric("fedrl_rounds", "counter", "rounds", (), "Rounds completed."),
    Metric("fedrl_agent_steps", "counter", "steps", (), "Local steps, summed over agents."),
    Metric("fedrl_failures", "counter", "actors", ("kind",), "Actors lost: `died` (with its "
           "process or node), `timeout`, or `exception` in user code."),
    Metric("fedrl_rewinds", "counter", "times", (), "All agents went back to a checkpoint."),
    Metric("fedrl_bytes", "counter", "bytes", (), "Parameters sent out and partial sums sent back "
           "for averaging."),
    Metric("fedrl_phase_seconds", "counter", "seconds", ("phase",), "Wall time: `learning` (the "
           "slowest actor's), `communication` (what is left of a round), `aggregation`, "
           "`evaluation`, `checkpoint`, `recovery` (rounds lost, and going back)."),
    Metric("fedrl_round", "gauge", "rounds", (), "The round that the run is at."),
    Metric("fedrl_participants", "gauge", "agents", (), "Agents that took part in the last round."),
    Metric("fedrl_agent_steps_per_second", "gauge", "steps/s", (), "Of the last round."),
    Metric("fedrl_return_worst", "gauge", "return", (), "The last evaluation's minimum over test "
           "environments."),
    Metric("fedrl_return_average", "gauge", "return", (), "Its mean over test environments."),
    Metric("fedrl_return_nominal", "gauge", "return", (), "In the unperturbed environment."),
)  # fmt: skip
"""Every metric; all have the tag `run` besides their own."""


REFRESH_SECONDS = 5.0
"""Ray forgets a gauge that is not set again within two of its reports, 20 s."""


class PrometheusMetrics:
    """The metrics of one run. Does nothing where this process has not joined Ray."""

    def __init__(self, run: str) -> None:
        self._metrics = _ray_metrics(run)
        self._gauges: dict[str, float] = {}
        self._closed = threading.Event()

    def close(self) -> None:
        """Gauges are kept up no longer."""
        self._closed.set()

    def round(self, report: RoundReport) -> None:
        """A completed round, with its evaluation if there was one."""
        steps = report.steps // report.round * report.participants
        self._add("fedrl_rounds", 1)
        self._add("fedrl_agent_steps", steps)
        self._add("fedrl_bytes", report.bytes)
        self._set("fedrl_round", report.round)
        self._set("fedrl_participants", report.participants)
        self._set("fedrl_agent_steps_per_second", steps / max(report.seconds, 1e-9))
        self.phases(report.phases)
        if report.evaluation is not None:
            for name, value in report.evaluation.figures().items():
                self._set(f"fedrl_return_{name}", value)

    def phases(self, seconds: dict[str, float]) -> None:
        """Seconds by phase, since the last."""
        for phase, value in seconds.items():
            self._add("fedrl_phase_seconds", value, phase=phase)

    def event(self, name: str, fields: dict[str, Any]) -> None:
        """An event of the run's log; two of them are counted."""
        if name == "worker_lost":
            self._add("fedrl_failures", 1, kind=fields["kind"])
        elif name == "rewind":
            self._add("fedrl_rewinds", 1)

    def _add(self, name: str, value: float, **tags: str) -> None:
        if name in self._metrics and value > 0:  # Ray refuses to add 0
            self._metrics[name].inc(value, tags)

    def _set(self, name: str, value: float) -> None:
        if name in self._metrics and math.isfinite(value):
            if not self._gauges:
                threading.Thread(target=self._refresh, name="telemetry", daemon=True).start()
            self._gauges[name] = value
            self._metrics[name].set(value)

    def _refresh(self) -> None:
        while not self._closed.wait(REFRESH_SECONDS):
            for name, value in list(self._gauges.items()):
                self._metrics[name].set(value)


def _ray_metrics(run: str) -> dict[str, Any]:
    ray: Any = sys.modules.get("ray")  # who has not imported it has not joined it
    if ray is None or not ray.is_initialized():
        return {}
    from ray.util.metrics import Counter, Gauge

    kinds: dict[str, Any] = {"counter": Counter, "gauge": Gauge}
    made = {}
    for name, kind, unit, tags, meaning in METRICS:
        text = f"{meaning} [{unit}]"
        metric = kinds[kind](name, description=text, tag_keys=("run", *tags))
        made[name] = metric.set_default_tags({"run": run})
    return made
