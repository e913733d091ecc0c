"""Sweeps in other tools: TensorBoard's files, and trackers that are not installed."""

from __future__ import annotations

import pytest
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from fedrl_ray.common.errors import UserError
from fedrl_ray.config import loading
from fedrl_ray.runs import tracker
from fedrl_ray.runs.run_directory import EVALUATIONS, read_rows
from fedrl_ray.sweeps import trackers
from fedrl_ray.sweeps.sweep import SweepOptions, run_sweep
from tests.support.event_files import values

SHORT = {"steps": 80, "num_agents": 2}


@pytest.mark.ray
@pytest.mark.slow
def test_tensorboard_finds_hyper_parameters_and_curves(small_yaml, tmp_path, local_ray):
    search = {"learner.omega": [0.3], "federation.sync_interval": [10]}
    evaluation = {"every": 40}
    path = small_yaml(federation=SHORT, evaluation=evaluation, sweep={"search": search})
    options = SweepOptions(source="file", output=tmp_path / "sweep", command=[], as_json=True)
    folder, trials = run_sweep(loading.load(path), options)
    found = list(values(folder / "tune" / trials[0].name))
    curve = [(step, v.simple_value) for step, v in found if v.tag == "ray/tune/worst"]
    rows = read_rows(folder / "trials" / trials[0].name / EVALUATIONS)
    assert curve == [(row["steps"], pytest.approx(row["worst"])) for row in rows]
    told = [v.metadata.plugin_data.content for _, v in found if "hparams" in v.tag]
    starts = [HParamsPluginData.FromString(x).session_start_info.hparams for x in told]
    known = {name: x.number_value for start in starts for name, x in start.items()}
    assert known["trial/point/learner.omega"] == 0.3
    assert known["trial/point/federation.sync_interval"] == 10
    own = {v.tag for _, v in values(folder / "trials" / trials[0].name / "events")}
    assert {"evaluation/worst", "evaluation/average", "training/drift"} <= own


def test_a_tracker_that_is_not_installed_is_one_line(small, monkeypatch, tmp_path):
    experiment = small(trackers=["wandb"])
    monkeypatch.setattr(tracker, "is_installed", lambda name: False)
    with pytest.raises(UserError, match=r"trackers: wandb is not installed; run `pip install 'fe"):
        trackers.callbacks(experiment, tmp_path)
