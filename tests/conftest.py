"""Fixtures: one local Ray per test session, small experiments, float64 where a test asks for it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fedrl_ray.cli import main
from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from tests.support.small import SMALL, merged

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
torch.set_num_threads(1)


WITH_PROCESSES = {
    "chaos": "clusters",
    "jobs": "clusters",
    "ray_cluster": "clusters",
    **{name: name for name in ("backends", "cli", "dashboard", "reports", "rllib", "runs",
                               "sweeps")},
}  # fmt: skip
"""Folders whose tests start programs, browsers or Ray -> tests that run one after the other."""
LONGEST = ("clusters", "cli", "sweeps", "rllib", "ray", "backends", "runs")
"""Groups by the time that they take, longest first; others follow."""
HINTS = {
    "no Chromium": "apt-get install chromium",
    "no EGL": "apt-get install libegl1",
    "no MkDocs": "pip install 'fedrl-ray[docs]'",
    "no third-party environments": "make test-third-party",
    "no GPU": "run on a machine with an NVIDIA GPU",
    "FEDRL_RAY_KUBERAY_CRDS": "CONTRIBUTING.md says where the definitions are",
    "promtool": "install Prometheus",
}
"""Part of the reason of a skipped test -> how to get it to run."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests that start programs, and put them first, the longest group at the front."""
    groups = {item: _group_of(item) for item in items}
    for item, group in groups.items():
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: _rank(groups[item]))


def _rank(group: str | None) -> int:
    if group is None:
        return len(LONGEST) + 1
    return LONGEST.index(group) if group in LONGEST else len(LONGEST)


def _group_of(item: pytest.Item) -> str | None:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    if folder in WITH_PROCESSES:
        return WITH_PROCESSES[folder]
    starts_ray = isinstance(item, pytest.Function) and "local_ray" in item.fixturenames
    if starts_ray or item.get_closest_marker("ray") or folder == "test_presets.py":
        return "ray"
    return folder if folder.startswith("test_") and folder != "test_plugins.py" else None


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


@pytest.fixture
def fedrl(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run the entry function in this process. Return (status, stdout, stderr)."""

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fedrl-ray", *map(str, args)])
        with pytest.raises(SystemExit) as end:
            main.main()
            raise SystemExit(0)
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


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
