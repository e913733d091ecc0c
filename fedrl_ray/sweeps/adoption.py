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


def holds(here: Path, experiment: Experiment) -> bool:
    """Whether a run directory is of this experiment, after all it took up."""
    return run_directory.read_experiment(here).fingerprint() == experiment.fingerprint()


def follow(
    here: Path, experiment: Experiment, point: Point, state: Path, reference: dict[str, Any]
) -> None:
    """Make `here` go on from the checkpoint `state`, of the trial, round and steps in `reference`,
    unless it already went on from there. Raises RunError where the two differ in more than the
    point's keys."""
    if not _is_behind(here, experiment, reference):
        _adopt(here, experiment, point, state, reference)


def _is_behind(here: Path, experiment: Experiment, reference: dict[str, Any]) -> bool:
    """Whether `here` descends from the reference: same keys, last taken up there or its own, and
    not of an earlier round."""
    found = checkpoints.existing(here / "checkpoints")
    if not (here / run_directory.CONFIG).exists() or not holds(here, experiment) or not found:
        return False
    newest = checkpoints.read_manifest(found[-1]).round
    rows = read_lineage(here)
    last = {"from": here.name, "round": 0} if not rows else rows[-1]
    if reference["trial"] == here.name:
        return bool(last["round"] <= reference["round"] <= newest)
    same = (last["from"], last["round"]) == (reference["trial"], reference["round"])
    return same and bool(reference["round"] <= newest)


def _adopt(
    here: Path, experiment: Experiment, point: Point, state: Path, reference: dict[str, Any]
) -> None:
    manifest = checkpoints.verify(state)
    _require_only(changed_keys(experiment.identity(), manifest.identity), point)
    row = {
        "round": reference["round"],
        "steps": reference["steps"],
        "from": reference["trial"],
        "before": _values_before(here, point),
        "point": point,
    }
    here.mkdir(parents=True, exist_ok=True)
    for name in (METRICS, EVALUATIONS):
        RoundLog(here / name).cut(reference["round"])
    (here / run_directory.SUMMARY).unlink(missing_ok=True)
    RoundLog(here / LINEAGE).append(row)
    _take_checkpoint(here / "checkpoints", state, manifest, experiment)
    run_directory.write_config(here, experiment)


def _values_before(here: Path, point: Point) -> Point:
    """What the run trained at until now; empty where it had not begun."""
    if not (here / run_directory.CONFIG).exists():
        return {}
    data = run_directory.read_experiment(here).to_dict()
    return {key: get_key(data, key.split(".")) for key in point}


def _take_checkpoint(
    folder: Path, state: Path, manifest: checkpoints.Manifest, experiment: Experiment
) -> None:
    aside = checkpoints.staging(folder, manifest.round)
    for file in state.iterdir():
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
