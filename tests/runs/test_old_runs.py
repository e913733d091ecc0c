"""A run directory of version 0.1 resumes and reports; the old names of keys still work."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fedrl_ray.agents.execution_profile import differences, execution_profile
from fedrl_ray.common.errors import UserError
from fedrl_ray.common.log import LOGGER
from fedrl_ray.config.loading import load
from fedrl_ray.reports.page import write_report
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import METRICS, newest_checkpoint, read_experiment, read_rows
from fedrl_ray.storage.manifests import read_manifest

OLD = Path(__file__).parents[1] / "data" / "run_0_1"


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """Return a copy of a run that version 0.1 stopped half-way."""
    return Path(shutil.copytree(OLD / "run", tmp_path / "run"))


def test_an_old_run_resumes_to_the_digests_it_would_have_had(old_run: Path) -> None:
    written_under = read_manifest(newest_checkpoint(old_run)).profile
    experiment = read_experiment(old_run)
    run = Run(experiment, old_run, resume=True, any_profile=True)
    list(run)
    summary = run.finish()
    run.close()
    assert summary["status"] == "completed" and summary["rounds"] == 12
    assert [row["round"] for row in read_rows(old_run / METRICS)] == list(range(1, 13))
    if not differences(execution_profile(experiment.to_dict()), written_under):
        expected = json.loads((OLD / "expected.json").read_text())
        assert {name: summary[name] for name in expected} == expected


def test_an_old_run_reports(old_run: Path, tmp_path: Path) -> None:
    assert "cartpole-old" in write_report([old_run], tmp_path / "report.html").read_text()


@pytest.mark.parametrize("where", ["file", "--set"])
def test_an_old_key_works_with_a_hint_of_one_line(
    where: str, small_yaml: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path, overrides = small_yaml(), ["federation.pool=ray"]
    if where == "file":
        path.write_text(path.read_text().replace("backend: in_process", "pool: ray"))
        overrides = []
    with caplog.at_level(logging.WARNING, LOGGER):
        experiment = load(path, overrides)
    assert experiment.federation.backend == "ray"
    (hint,) = [record.getMessage() for record in caplog.records]
    assert "federation.pool is now federation.backend" in hint and "\n" not in hint


def test_both_names_of_a_key_are_refused(small_yaml: Callable[..., Path]) -> None:
    path = small_yaml(federation={"pool": "ray"})
    with pytest.raises(UserError, match=r"federation\.pool is the old name of federation\.backend"):
        load(path)
