"""Numbers of a run as Ray metrics, which every node offers to Prometheus.

Counters count all work, rounds repeated after a rewind included; gauges show the present state.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any, Literal, NamedTuple

from ..agents.messages import RoundReport


class Metric(NamedTuple):
    """A metric. Ray puts `ray_` before its name, and `_total` after that of a counter."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    tags: tuple[str, ...]
    meaning: str


METRICS = (
    Metric("fedrl_rounds", "counter", "rounds", (), "Rounds completed."),
    Metric("fedrl_agent_steps", "counter", "steps", (), "Local steps, summed over agents."),
    Metric("fedrl_failures", "counter", "actors", ("kind",), "Lost actors, by kind: `died` (with "
           "its process or node), `timeout`, or `exception` in user code."),
    Metric("fedrl_rewinds", "counter", "times", (), "All agents went back to a checkpoint."),
    Metric("fedrl_bytes", "counter", "bytes", (), "Parameters sent out and partial sums sent back "
           "for averaging."),
    Metric("fedrl_phase_seconds", "counter", "seconds", ("phase",), "Wall time: `learning` (of the "
           "slowest actor), `communication` (the rest of a round), `aggregation`, `evaluation`, "
           "`checkpoint`, `recovery` (lost rounds, and going back)."),
    Metric("fedrl_round", "gauge", "rounds", (), "Round that the run has reached."),
    Metric("fedrl_participants", "gauge", "agents", (), "Agents that took part in the last round."),
    Metric("fedrl_agent_steps_per_second", "gauge", "steps/s", (), "Local steps per second of the "
           "last round, summed over agents."),
    Metric("fedrl_return_worst", "gauge", "return", (), "Minimum over test environments in the "
           "last evaluation."),
    Metric("fedrl_return_average", "gauge", "return", (), "Mean over test environments in the last "
           "evaluation."),
    Metric("fedrl_return_nominal", "gauge", "return", (), "Return in the unperturbed environment "
           "in the last evaluation."),
)  # fmt: skip
"""Every metric; each has the tag `run` besides its own tags."""


REFRESH_SECONDS = 5.0
"""Seconds between two updates of the gauges. Ray drops a gauge that nobody sets for 20 s."""


class PrometheusMetrics:
    """The metrics of one run. It does nothing if this process has not joined Ray."""

    def __init__(self, run: str) -> None:
        # Ray takes ASCII labels only
        self._metrics = _ray_metrics(run.encode("ascii", "backslashreplace").decode())
        self._gauges: dict[str, float] = {}
        self._closed = threading.Event()

    def close(self) -> None:
        """Stop updating the gauges."""
        self._closed.set()

    def round(self, report: RoundReport) -> None:
        """Count a completed round, with its evaluation if there was one."""
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
        """Add seconds by phase, measured since the last call."""
        for phase, value in seconds.items():
            self._add("fedrl_phase_seconds", value, phase=phase)

    def event(self, name: str, fields: dict[str, Any]) -> None:
        """Count an event of the run's log if it is a lost worker or a rewind."""
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
    ray: Any = sys.modules.get("ray")  # a process that has not imported Ray has not joined it
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
