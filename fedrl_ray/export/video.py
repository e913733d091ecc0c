"""`fedrl-ray video`: record the global policy in the nominal and in the worst environment.

The recorded episode is the one that the evaluation scored. The whole test grid is played again,
because a policy that acts on fewer rows at once may round differently. The actions of the shown
rows are then repeated in an environment that draws itself.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.types import Array, Dynamics

from ..agents.evaluation import Act, EvaluationGrid, LearntPolicy, Noted, initial_shared
from ..agents.execution_profile import single_thread
from ..common.errors import UserError
from ..common.json_values import nan_as_null
from ..common.text_files import write_text
from ..config.build import build_family
from ..config.schema import Experiment
from ..federation.resume_rules import require_fits
from ..runs.run_directory import VIDEO_INDEX, VIDEOS, read_policy
from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.family import EnvFamily
from ..vector_envs.sites import Site
from . import recorder
from .evaluate import tested_experiment
from .trained import checkpoint_of, logged_evaluation


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Arguments of `fedrl-ray video` besides the run."""

    output: Path | None = None
    """Folder to write; None: `videos` in the run directory."""
    checkpoint: int | None = None
    """Round of the checkpoint; None: the newest."""
    episode: int | None = None
    """Number of the episode in each environment, from 0; None: the one whose return is nearest to
    the environment's mean return."""
    overrides: Sequence[str] = ()
    """Keys of the test grid, as `fedrl-ray evaluate` takes them."""


def record_videos(run: Path, options: VideoOptions) -> dict[str, Any]:
    """Record the videos, write videos.json beside them and return its content.

    Raises UserError: the run has no test grid, its environment cannot be drawn, an option is wrong,
    or a package is missing.
    """
    recorder.prepare()
    single_thread()
    experiment = tested_experiment(run, options.overrides)
    _require_episode(experiment, options.episode)
    path, manifest, shared = read_policy(lambda: checkpoint_of(run, options.checkpoint))
    family = build_family(experiment)
    grid = EvaluationGrid(experiment, family)
    # refuses before the evaluation takes its time
    family.render_env(_row(grid.dynamics, 0)).close()  # type: ignore[no-untyped-call]
    require_fits(path, shared, initial_shared(experiment, family))
    act = LearntPolicy(experiment, family).of(shared)
    round_number = None if options.overrides else manifest.round
    shown = _shown(run, round_number, grid, act)
    output = options.output or run / VIDEOS
    with _folder_inside(output) as folder:
        entries = _record_all(experiment, family, grid, act, shown, options.episode, Path(folder))
        for entry in entries:
            (Path(folder) / entry["file"]).replace(output / entry["file"])
    index: dict[str, Any] = nan_as_null({"round": manifest.round, "videos": entries})
    write_text(output / VIDEO_INDEX, json.dumps(index, indent=1) + "\n")
    return index


def _require_episode(experiment: Experiment, episode: int | None) -> None:
    most = experiment.evaluation.episodes - 1
    if episode is not None and not 0 <= episode <= most:
        raise UserError(
            f"--episode: must lie in [0, {most}], as evaluation.episodes is {most + 1}; "
            f"got {episode}"
        )


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """An environment to show: its name and its position in `EvaluationGrid.dynamics`.

    logged: the logged returns of its episodes, [episodes]; None if there is no log of them.
    """

    name: str
    position: int
    logged: Array | None


def _shown(run: Path, round_number: int | None, grid: EvaluationGrid, act: Act) -> list[_Shown]:
    """Return the nominal environment and the worst of the logged evaluation of a round.

    Without such a log the policy is evaluated now. round_number: None if there cannot be one.
    """
    logged = None if round_number is None else logged_evaluation(run, round_number)
    if logged is not None and logged.where != "driver":
        logged = None
    returns = grid.evaluate(act).returns if logged is None else logged.returns

    def shown(name: str, position: int) -> _Shown:
        known = logged is not None and position < len(logged.returns)
        found = logged.episode_returns[position] if logged is not None and known else None
        return _Shown(name=name, position=position, logged=found)

    nominal = grid.nominal_position
    first = [] if nominal is None else [shown("nominal", nominal)]
    return [*first, shown("worst", int(np.argmin(returns)))]


def _record_all(
    experiment: Experiment,
    family: EnvFamily,
    grid: EvaluationGrid,
    act: Act,
    shown: Sequence[_Shown],
    episode: int | None,
    folder: Path,
) -> list[dict[str, Any]]:
    """Play the test grid, record the shown environments, and return the facts about each."""
    episodes = experiment.evaluation.episodes
    noted: Noted = {(one.position, e): [] for one in shown for e in range(episodes)}
    scores = grid.scores(act, noted)
    entries = []
    for one in shown:
        returns = scores[one.position] if one.logged is None else one.logged
        chosen = _typical(returns) if episode is None else episode
        seeds = EpisodeSeeds.of_grid(
            experiment.evaluation.seed, [grid.index[one.position]], episodes
        )
        seed, dynamics = seeds.seed(chosen, chosen), _row(grid.dynamics, one.position)
        actions = noted[one.position, chosen]
        file = folder / f"{one.name}.mp4"
        found = recorder.record(family.render_env(dynamics), seed, actions, file)
        entries.append(
            {
                "name": one.name,
                "file": file.name,
                "dynamics": {name: _plain(values[0]) for name, values in dynamics.items()},
                "episode": chosen,
                "seed": seed,
                **found._asdict(),
                "evaluation_return": float(returns[chosen]),
                "mean_return": float(returns.mean()),
            }
        )
    return entries


def _typical(returns: Array) -> int:
    """Return the episode whose return is nearest to the mean, the first of equals."""
    return int(np.argmin(np.abs(returns - returns.mean())))


def _plain(value: Any) -> float | str:
    """Return a parameter as a number, and a site by its name."""
    return str(value) if isinstance(value, Site) else float(value)


def _row(dynamics: Dynamics, position: int) -> Dynamics:
    return {name: values[position : position + 1] for name, values in dynamics.items()}


def _folder_inside(output: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a new folder inside `output`: a video moves out of it once it is complete."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=output, prefix=".fedrl-ray-")
    except OSError as error:
        raise UserError(f"--output {output}: {error.strerror}") from None
