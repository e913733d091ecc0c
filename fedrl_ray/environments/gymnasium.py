"""A Gymnasium environment of the user, found by a registered id or a factory."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from algorithms.types import Dynamics, Spec

from ..vector_envs.episodes import EpisodeSeeds
from ..vector_envs.family import EnvFamily
from ..vector_envs.mujoco import log_warnings
from ..vector_envs.user.adapter import UserEnv, spec_of
from ..vector_envs.user.checks import check_effect, check_reset, check_steps, find_resume
from ..vector_envs.user.config import GymnasiumConfig
from ..vector_envs.user.source import create, find_source, is_attribute
from ..vector_envs.user.targets import read_parameters
from ..vector_envs.user.vector_env import Resume, UserVectorEnv

_LOG = logging.getLogger(__name__)
_INEXACT = (
    "resume is not exact: neither get_state and set_state nor a replay of the actions since the "
    "last reset led to the same observations"
)


class Gymnasium(EnvFamily):
    """Any environment with Box observations and Discrete or bounded Box actions.

    Each process tries it out before anything starts, see `vector_envs.user.checks`. It resumes
    exactly if it has `get_state() -> dict of arrays or numbers` and `set_state(dict)`. Without
    them, the actions since the last seeded reset are replayed.
    """

    Config = GymnasiumConfig
    config: GymnasiumConfig

    def __init__(self, config: GymnasiumConfig) -> None:
        super().__init__(config)
        self._source = find_source(config)
        log_warnings()
        env, limit = create(self._source)
        limit = limit if config.max_episode_steps is None else config.max_episode_steps
        with closing(env):
            check_reset(env, self._source.key)
            self.parameters = read_parameters(config.parameters, self._source, env)
            self.spec = spec_of(env, limit, self._source.key)
        self._resume = _trial(self)
        if self._resume is None:
            self.exemptions = {"resume": _INEXACT}

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> UserVectorEnv:
        """Return the user's environments with their parameters set."""
        rows = [{n: float(dynamics[n][i]) for n in self.parameters} for i in range(len(seeds))]
        with self._all_or_none(rows, seeds) as envs:
            return UserVectorEnv(
                self.spec,
                envs,
                seeds,
                retire=retire,
                resume=self._resume or "replay",
                on_mismatch=warn_of_inexact_resume,
            )

    def build(self, values: Mapping[str, float]) -> UserEnv:
        """Return one environment with the given parameters."""
        targets = {self.config.parameters[name].target: v for name, v in values.items()}
        arguments = {target: v for target, v in targets.items() if not is_attribute(target)}
        env, _ = create(self._source, arguments)
        return UserEnv(env, {t: v for t, v in targets.items() if is_attribute(t)})

    @contextmanager
    def _all_or_none(
        self, rows: Iterable[Mapping[str, float]], seeds: EpisodeSeeds
    ) -> Iterator[list[UserEnv]]:
        """Yield the environments, and close all of them if one, or the block, fails."""
        with ExitStack() as opened:
            envs = []
            for row, values in enumerate(rows):
                try:
                    envs.append(opened.enter_context(closing(self.build(values))))
                except Exception as error:
                    seeds.attribute_error(error, row)
                    raise
            yield envs
            opened.pop_all()

    def trial_vector_env(self, spec: Spec, resume: Resume) -> UserVectorEnv:
        """Return one nominal environment, for the trial of resuming."""
        seeds = EpisodeSeeds.of_grid(0, [0], 1)
        with self._all_or_none([self._nominal_values()], seeds) as envs:
            return UserVectorEnv(
                spec,
                envs,
                seeds,
                retire=False,
                resume=resume,
                on_mismatch=lambda: None,
            )

    def check(self) -> Resume | None:
        """Run the trial and return the way to resume exactly, or None.

        Raises UserError: the environment breaks a rule of `vector_envs.user.checks`.
        """
        nominal = self._nominal_values()
        with closing(self.build(nominal)) as env:
            steps = check_steps(env, self.spec, self._source.key)
            self._check_effects(nominal, steps)
            return find_resume(self.trial_vector_env, env, self.spec, steps)

    def _check_effects(self, nominal: Mapping[str, float], steps: int) -> None:
        for name, ends in self.ranges(self.config.perturb).items():
            values = dict.fromkeys((nominal[name], *ends))
            if len(values) > 1 and self.config.parameters[name].verify:
                builds = {v: partial(self.build, {**nominal, name: v}) for v in values}
                check_effect(name, builds, self.spec, steps)

    def _nominal_values(self) -> dict[str, float]:
        return {name: p.nominal for name, p in self.parameters.items()}


_TRIALS: dict[str, Resume | None] = {}


def _trial(family: Gymnasium) -> Resume | None:
    """Return the result of the family's trial, run once per process and configuration."""
    key = family.config.model_dump_json()
    if key not in _TRIALS:
        _TRIALS[key] = family.check()
    return _TRIALS[key]


@functools.cache
def warn_of_inexact_resume() -> None:
    """Log that a replay led to another observation, once per process."""
    _LOG.warning("environment: resume is not exact, because a replay led to another observation")
