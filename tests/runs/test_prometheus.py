"""Metrics at a real Prometheus endpoint, and a failing agent at a real terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from fedrl_ray.common.errors import RunError
from fedrl_ray.runs.events import LOG
from fedrl_ray.runs.prometheus import METRICS as TABLE
from fedrl_ray.runs.prometheus import PrometheusMetrics
from fedrl_ray.runs.remote_run import RemoteRun
from fedrl_ray.runs.run_directory import EVALUATIONS, METRICS, read_rows
from tests.support.runs import train
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
SAMPLE = re.compile(r"^ray_(fedrl_\w+)\{(.*)\} (\S+)$", re.MULTILINE)


class Values(dict[tuple[str, str], float]):
    """Return values by metric and by kind or phase; NaN for a metric that has not arrived."""

    def __missing__(self, key: tuple[str, str]) -> float:
        return float("nan")


def scrape(run: str) -> Values:
    """Return our metrics of a run at this node's endpoint, by name and by kind or phase."""
    (node,) = ray.nodes()
    url = f"http://127.0.0.1:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    found = Values()
    for name, labels, value in SAMPLE.findall(text):
        tags = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if tags["run"] == run:
            found[name, tags.get("phase", tags.get("kind", ""))] = float(value)
    return found


@pytest.mark.ray
def test_the_prometheus_endpoint_tells_what_the_logs_tell(small, tmp_path, local_ray):
    experiment = small(federation={"backend": "ray", "agents_per_actor": 5})
    run = RemoteRun(experiment, tmp_path / "observed")
    while not run.done:
        run.advance()
    run.finish()
    run.close()  # which makes Ray report at once
    rows = read_rows(tmp_path / "observed" / METRICS)
    last = read_rows(tmp_path / "observed" / EVALUATIONS)[-1]
    eventually(lambda: require_as_logged(scrape("observed"), rows, last))  # sent every 10 s


def require_as_logged(values: Values, rows: list[Any], last: dict[str, Any]) -> None:
    """Assert that the metrics equal metrics.jsonl and the last evaluation."""
    assert values.get(("fedrl_round", "")) == 12
    assert values["fedrl_rounds_total", ""] == len(rows) == 12
    assert values["fedrl_agent_steps_total", ""] == rows[-1]["agent_steps"] == 1200
    assert values["fedrl_bytes_total", ""] == sum(row["bytes"] for row in rows)
    assert values["fedrl_participants", ""] == 5
    for name in ("worst", "average", "nominal"):
        assert values[f"fedrl_return_{name}", ""] == pytest.approx(last[name])
    for phase in ("learning", "communication", "aggregation", "evaluation"):
        logged = sum(row["phases"][phase] for row in rows)
        assert values["fedrl_phase_seconds_total", phase] == pytest.approx(logged, abs=1e-4)
    assert values["fedrl_phase_seconds_total", "checkpoint"] > 0
    assert not any(name == "fedrl_failures_total" for name, _ in values)


@pytest.mark.ray
def test_failures_and_rewinds_are_counted_by_kind(local_ray):
    telemetry = PrometheusMetrics("counted")
    telemetry.event("worker_lost", {"kind": "died"})
    telemetry.event("worker_lost", {"kind": "died"})
    telemetry.event("worker_lost", {"kind": "timeout"})
    telemetry.event("rewind", {})
    telemetry.event("checkpoint", {})

    def counted() -> None:
        assert scrape("counted") == {
            ("fedrl_failures_total", "died"): 2,
            ("fedrl_failures_total", "timeout"): 1,
            ("fedrl_rewinds_total", ""): 1,
        }

    eventually(counted)


def test_without_ray_nothing_is_reported():
    script = (
        "import sys; from fedrl_ray.runs.prometheus import PrometheusMetrics;"
        "t = PrometheusMetrics('x');"
        "t.event('rewind', {}); t.phases({'learning': 1.0}); print('ray' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


def test_the_documented_metrics_are_those_there_are():
    page = (ROOT / "docs" / "observability.md").read_text()
    entries = re.findall(
        r"^- `ray_(\w+)` \((\w+), ([^;]+); ([^)]*)\): (.*)$",
        page.replace("\n  ", " "),
        re.MULTILINE,
    )
    documented = [
        (name.removesuffix("_total"), kind, unit, tuple(re.findall(r"`(\w+)`", tags)), meaning)
        for name, kind, unit, tags, meaning in entries
    ]
    assert documented == [(m.name, m.kind, m.unit, ("run", *m.tags), m.meaning) for m in TABLE]
    suffixes = {name.endswith("_total") == (kind == "counter") for name, kind, *_ in entries}
    assert suffixes == {True}


def heavy(tmp_path: Path, **sections: object) -> Path:
    """Return an experiment whose agent 2 raises in its fourth round."""
    mass = {"target": "mass", "verify": False}
    data = {
        "name": "heavy",
        "federation": {"num_agents": 4, "steps": 200, "sync_interval": 20, "agents_per_actor": 4},
        "learner": {"name": "fedrdqn", "hidden_sizes": [8], "learning_starts": 10,
                    "batch_size": 8, "replay_capacity": 64},
        "environment": {"name": "gymnasium", "factory": "tests.support.user_envs:HeavySpring",
                        "max_episode_steps": 50, "parameters": {"mass": mass},
                        "perturb": {"mass": [1.0, 1.5, 3.0, 1.0]}},
        "evaluation": {"every": 40, "where": "agents", "episodes": 1},
        "checkpoint": {"every": 100},
    }  # fmt: skip
    path = tmp_path / "heavy.yaml"
    path.write_text(yaml.safe_dump(data | sections, sort_keys=False))
    return path


def at_the_terminal(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does, in the session's Ray cluster."""
    address = ray.get_runtime_context().gcs_address
    command = [
        sys.executable,
        "-c",
        "from fedrl_ray.cli.main import main; main()",
        *map(str, arguments),
    ]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,  # where the environment is
        env=os.environ | {"RAY_ADDRESS": address},
        check=False,
    )


@pytest.mark.ray
def test_the_traceback_of_a_failing_agent_is_shown_once_with_its_id(tmp_path, local_ray):
    result = at_the_terminal("train", heavy(tmp_path), "--output", tmp_path / "run")
    assert result.returncode == 1
    text = result.stdout + result.stderr
    assert "error: agent 2 raised:" in text
    assert text.count("Traceback (most recent call last)") == 1
    assert text.count("ValueError: sensor 7 gives no reading") == 1
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    (lost,) = [row for row in rows if row["event"] == "worker_lost"]
    assert (lost["agents"], lost["kind"], lost["round"]) == ([2], "exception", 3)
    assert lost["reason"].startswith("Traceback") and "user_envs.py" in lost["reason"]
    (worker,) = rows[0]["workers"]
    assert (lost["node"], lost["pid"]) == (worker["node"], worker["pid"])
    assert worker["node"] == ray.nodes()[0]["NodeID"] and worker["pid"] != os.getpid()
    assert rows[-1]["reason"] == "agent 2 raised: ValueError: sensor 7 gives no reading"


@pytest.mark.slow
@pytest.mark.ray
def test_failing_trials_name_the_agent_and_show_their_traceback_once(tmp_path, local_ray):
    section = {"search": {"learner.omega": [0.1, 0.2]}, "max_concurrent": 1}
    result = at_the_terminal("sweep", heavy(tmp_path, sweep=section), "--output", tmp_path / "out")
    assert result.returncode == 1
    line = "failed: agent 2 raised: ValueError: sensor 7 gives no reading"
    text = result.stdout + result.stderr
    assert len(re.findall(rf"^\S+: {line}$", result.stderr, re.MULTILINE)) == 2, text
    assert text.count("Traceback (most recent call last)") == 1
    for trial in sorted((tmp_path / "out" / "trials").iterdir()):
        rows = [json.loads(row) for row in (trial / LOG).read_text().splitlines()]
        assert rows[-1]["reason"] == line.removeprefix("failed: ")
        assert {row["run"] for row in rows} == {trial.name}


def test_a_failing_agent_is_named_in_one_process_too(tmp_path):
    from fedrl_ray.config import loading
    from fedrl_ray.runs.run import Run

    experiment = loading.load(heavy(tmp_path), ["federation.backend=in_process"])
    run = Run(experiment, tmp_path / "run")
    with pytest.raises(RunError, match=r"(?s)^agent 2 raised: .*sensor 7 gives no reading$"):
        list(run)
    run.close()


@pytest.mark.ray
def test_a_run_may_have_a_name_that_is_not_ascii(small, tmp_path, local_ray):
    summary = train(small(federation={"steps": 20}), tmp_path / "run-\N{GREEK SMALL LETTER OMEGA}")
    assert summary["status"] == "completed"
