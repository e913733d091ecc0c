"""Fixtures: one local Ray per test session, small experiments, float64 where a test asks for it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from tests.support.small import SMALL, merged

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
torch.set_num_threads(1)


WITH_PROCESSES = ("backends", "chaos", "cli", "dashboard", "jobs", "ray_cluster", "reports",
                  "rllib", "runs", "sweeps")  # fmt: skip
"""Folders whose tests start programs, browsers or Ray: they need both cores for themselves."""
HINTS = {
    "no Chromium": "apt-get install chromium",
    "no GPU": "run on a machine with an NVIDIA GPU",
    "FEDRL_RAY_KUBERAY_CRDS": "CONTRIBUTING.md says where the definitions are",
    "promtool": "install Prometheus",
}
"""Part of the reason of a skipped test -> how to get it to run."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that start programs, by their folder, fixtures or the marker `ray`."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        fixtures = getattr(item, "fixturenames", ())
        alone = folder in (*WITH_PROCESSES, "test_start_up.py", "test_presets.py", "test_readme.py")
        if alone or "local_ray" in fixtures or item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.processes)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines what was skipped, and how to get it."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.items():
        hint = next((hint for part, hint in HINTS.items() if part in reason), None)
        how = "" if hint is None else f"; to run: {hint}"
        terminalreporter.write_line(f"not run: {count} tests ({reason}){how}")


@pytest.fixture
def small() -> Callable[..., Experiment]:
    """Return a builder of the small experiment: small(federation={"agents_per_actor": 1})."""

    def build(**changes: Any) -> Experiment:
        return from_dict(merged(SMALL, changes))

    return build


@pytest.fixture
def small_yaml(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the small experiment, with changes, as a file."""
    import yaml

    def write(**changes: Any) -> Path:
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(merged(SMALL, changes), sort_keys=False))
        return path

    return write


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """Start one Ray for the whole session: four logical CPUs, no dashboard, loopback only."""
    import ray

    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def float64() -> Iterator[None]:
    """Let learners built in this test compute in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
