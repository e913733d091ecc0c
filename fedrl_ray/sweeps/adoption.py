"""Population based training: a run directory takes over the state of another.

Done on files, before the run is opened: the other's checkpoint becomes the only one here, under
this trial's keys; the logs are cut back to its round; lineage.jsonl says what happened.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import checkpoints, run_directory
from ..config import Experiment
from ..config_files import get_key
from ..errors import RunError
from ..resume_rules import changed_keys
from ..run_directory import EVALUATIONS, METRICS, RoundLog
from .points import Point

LINEAGE = "lineage.jsonl"


def adopt(
    here: Path, experiment: Experiment, point: Point, source: Path, reference: dict[str, Any]
) -> None:
    """Make `here` go on from a checkpoint of the trial `source`. Raises RunError where the two
    differ in more than the point's keys."""
    round_number = reference["round"]
    path = checkpoints.path_of(source / "checkpoints", round_number)
    manifest = checkpoints.verify(path)
    _require_only(changed_keys(experiment.identity(), manifest.identity), point)
    row = {
        "round": round_number,
        "steps": reference["steps"],
        "from": reference["trial"],
        "before": _values_before(here, point),
        "point": point,
    }
    log = RoundLog(here / LINEAGE)
    _take_checkpoint(here / "checkpoints", path, manifest, experiment)
    for name in (METRICS, EVALUATIONS):
        RoundLog(here / name).cut(round_number)
    (here / run_directory.SUMMARY).unlink(missing_ok=True)
    run_directory.write_config(here, experiment)
    log.append(row)


def _values_before(here: Path, point: Point) -> Point:
    """What the run trained at until now; empty where it had not begun."""
    if not (here / run_directory.CONFIG).exists():
        return {}
    data = run_directory.read_experiment(here).to_dict()
    return {key: get_key(data, key.split(".")) for key in point}


def _take_checkpoint(
    folder: Path, path: Path, manifest: checkpoints.Manifest, experiment: Experiment
) -> None:
    aside = checkpoints.staging(folder, manifest.round)
    for file in path.iterdir():
        shutil.copy2(file, aside / file.name)
    mine = replace(manifest, identity=experiment.identity(), fingerprint=experiment.fingerprint())
    kept = checkpoints.commit(folder, aside, mine)
    for other in checkpoints.existing(folder):
        if other != kept:
            shutil.rmtree(other, ignore_errors=True)


def _require_only(changed: list[str], point: Point) -> None:
    foreign = [k for k in changed if not any(k == p or k.startswith(f"{p}.") for p in point)]
    if foreign:
        raise RunError(f"cannot take up another trial's state: {', '.join(foreign)} differ")


def read_lineage(run: Path) -> list[dict[str, Any]]:
    """What a run took over, in order; empty for most."""
    return run_directory.read_rows(run / LINEAGE)
