"""Every experiment file at its own size, through the command line, on its own backend."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from fedrl_ray.cli import main
from fedrl_ray.config.loading import load
from fedrl_ray.runs.run_directory import METRICS, read_rows
from tests.support.presets import PRESETS

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.usefixtures("local_ray")]
ROUNDS = 3


def overrides(preset: str) -> list[str]:
    """Return overrides for a short budget and learning from the first round on; sizes stay."""
    experiment = load(PRESETS[preset])
    interval = experiment.round_steps
    sets = [f"federation.steps={ROUNDS * interval}", f"checkpoint.every={interval}"]
    if hasattr(experiment.learner.settings, "learning_starts"):
        sets.append(f"learner.learning_starts={interval // 2}")
    return [part for text in sets for part in ("--set", text)]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_trains_from_the_command_line(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = tmp_path / "run", str(PRESETS[preset])
    command = ["fedrl-ray", "train", path, "--output", str(run), "--quiet", *overrides(preset)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code in (0, None)
    experiment = load(PRESETS[preset])
    summary = json.loads((run / "summary.json").read_text())
    assert summary["status"] == "completed" and summary["rounds"] == ROUNDS
    assert sum(summary["packing"]) == experiment.federation.num_agents
    assert np.isfinite(summary["evaluation"]["returns"]).all()
    assert len(summary["evaluation"]["returns"]) == experiment.evaluation.grid
    *_, last = read_rows(run / METRICS)
    losses = [values for name, values in last["agents"].items() if "loss" in name]
    assert losses and np.isfinite(losses).all()
    assert (run / "report.html").stat().st_size > 0
