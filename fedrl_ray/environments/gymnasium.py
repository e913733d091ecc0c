"""A Gymnasium environment of the user, found by a registered id or a factory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np

from algorithms.types import Dynamics

from ..common.errors import UserError
from ..vector_envs.actions import encoding_of, short
from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.family import SITES, EnvFamily
from ..vector_envs.mujoco import log_warnings
from ..vector_envs.parameters import TRAINING, Perturbation
from ..vector_envs.rendering import DrawnEnv
from ..vector_envs.sites import ENVIRONMENT, Site, agent_sites, column, distinct
from ..vector_envs.user.adapter import UserEnv
from ..vector_envs.user.closing import close_and_log
from ..vector_envs.user.config import GymnasiumConfig
from ..vector_envs.user.memory import resident
from ..vector_envs.user.rendering import drawn, render_arguments
from ..vector_envs.user.resuming import warn_of_inexact_resume
from ..vector_envs.user.source import create, find_source, require_argument, require_complete
from ..vector_envs.user.targets import require_one_nominal
from ..vector_envs.user.trial import Builder, Trial, inspect, memory_of_one
from ..vector_envs.user.vector_env import UserVectorEnv

_INEXACT = (
    "resume is not exact: neither get_state and set_state nor a replay of the actions since the "
    "last reset led to the same observations"
)
_SHARED = Site("every agent")


class Gymnasium(EnvFamily):
    """Any environment with Box observations and Discrete or bounded Box actions.

    Each process tries it out before anything starts, see `vector_envs.user.trial`. It resumes
    exactly if it has `get_state() -> dict of arrays or numbers` and `set_state(dict)`. Without
    them, the actions since the last seeded reset are replayed.
    """

    Config = GymnasiumConfig
    config: GymnasiumConfig

    def __init__(self, config: GymnasiumConfig) -> None:
        super().__init__(config)
        tried = config.model_dump_json()
        before = 0 if tried in _TRIALS else resident()
        self._source = find_source(config)
        self._sites = agent_sites(config.agents)
        self.has_nominal, self.max_open = not self._sites, config.max_open
        keys = config.agents if isinstance(config.agents, Mapping) else range(len(self._sites))
        for key, site in zip(keys, self._sites, strict=True):
            self._require_arguments(site, f"environment.agents.{key}")
        if not self._sites:
            require_complete(self._source, {}, "environment.kwargs")
        log_warnings()
        found = inspect(config, self._source, self._first.arguments)
        self.parameters, self.spec, self._spaces = found.parameters, found.spec, found.spaces
        self.actions = encoding_of(found.spaces.action)
        if tried not in _TRIALS:
            _TRIALS[tried] = _Tried(max(0, resident() - before), self.check())
        self._libraries, self._trial = _TRIALS[tried]
        if self._trial.resume is None:
            self.exemptions = {"resume": _INEXACT}

    def agent_label(self, agent: int) -> str:
        """Return `agent 3 (north)`, with the name of the agent's site."""
        label = super().agent_label(agent)
        names = {label, str(self._sites[agent])} if agent < len(self._sites) else {label}
        return label if len(names) == 1 else f"{label} ({self._sites[agent]})"

    def bytes_per_environment(self) -> int:
        """Return the memory by which one environment makes this process grow."""
        return max(super().bytes_per_environment(), memory_of_one(self.builder, self.config))

    def bytes_per_process(self) -> int:
        """Return the memory that the environment's modules and first use left in this process."""
        return self._libraries

    def draw(
        self,
        perturb: Mapping[str, Perturbation],
        *,
        seed: int,
        agent_ids: Sequence[int],
        key: str = TRAINING,
    ) -> Dynamics:
        """Return the dynamics of some agents, with their sites if `agents` lists them."""
        drawn = super().draw(perturb, seed=seed, agent_ids=agent_ids, key=key)
        if not self._sites:
            return drawn
        return drawn | {ENVIRONMENT: column([self._sites[agent] for agent in agent_ids])}

    def grid(
        self, perturb: Mapping[str, Perturbation], *, size: int, seed: int, key: str = TRAINING
    ) -> Dynamics:
        """Return the test grid; every distinct site of the agents has the whole grid."""
        grid = super().grid(perturb, size=size, seed=seed, key=key)
        sites = distinct(self._sites)
        if not sites:
            return grid
        m = len(next(iter(grid.values()), [0]))
        repeated = [site for site in sites for _ in range(m)]
        return {n: np.tile(x, len(sites)) for n, x in grid.items()} | {
            ENVIRONMENT: column(repeated)
        }

    def named_grid(self, environments: Mapping[str, Mapping[str, Any]]) -> Dynamics:
        """Return the listed test environments, which may name parameters and arguments."""
        physics = {
            name: {n: v for n, v in values.items() if n in self.parameters}
            for name, values in environments.items()
        }
        sites = []
        for name, values in environments.items():
            site = Site(name, {n: v for n, v in values.items() if n not in self.parameters})
            self._require_arguments(site, f"{SITES}.{name}")
            sites.append(site)
        return super().named_grid(physics) | {ENVIRONMENT: column(sites)}

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> UserVectorEnv:
        """Return the user's environments with their parameters set."""
        with self._all_or_none(dynamics, seeds) as envs:
            return UserVectorEnv(
                self.spec,
                envs,
                seeds,
                retire=retire,
                resume=self._trial.resume or "replay",
                on_mismatch=warn_of_inexact_resume,
            )

    def render_env(self, dynamics: Dynamics) -> DrawnEnv:
        """Return the user's environment, made with `render_mode: rgb_array`."""
        values = {name: float(dynamics[name][0]) for name in self.parameters}
        site = dynamics[ENVIRONMENT][0] if ENVIRONMENT in dynamics else None
        env = self.build(values, site, **render_arguments(self._source))
        return drawn(env, self._source)

    def build(self, values: Mapping[str, float], site: Site | None = None, **more: Any) -> UserEnv:
        """Return one environment with the given parameters, at a site, and with more arguments.

        Raises UserError: its spaces are not those of the first environment.
        """
        targets = {
            path: int(value) if self.parameters[name].is_whole else value
            for name, value in values.items()
            for path in self.config.parameters[name].targets
        }
        own = dict((site or self._first).arguments) | more
        inner = {path: v for path, v in targets.items() if path.is_attribute}
        outer = {path: v for path, v in targets.items() if not path.is_attribute}
        env, _ = create(self._source, own, outer)
        with ExitStack() as opened:
            opened.callback(close_and_log, env)
            self._require_spaces(env, site or self._first)
            if site is not None and site.arguments:
                declared, first = self.config.parameters, self._first
                require_one_nominal(declared, self.parameters, env, here=site, first=first)
            user = UserEnv(env, self.actions, inner)
            opened.pop_all()
        return user

    def check(self) -> Trial:
        """Run the trial.

        Raises UserError: the environment breaks a rule of `vector_envs.user.checks`.
        """
        return Trial.of(self.builder, self.config, self.ranges(self.config.perturb))

    @property
    def builder(self) -> Builder:
        """The constructor of nominal environments, for the trial."""
        nominal = {name: p.nominal for name, p in self.parameters.items()}
        return Builder(self.build, self.spec, nominal, self._source.key)

    @property
    def _first(self) -> Site:
        return self._sites[0] if self._sites else _SHARED

    def _require_arguments(self, site: Site, key: str) -> None:
        """Raise UserError if a site's arguments are unknown, missing or set by a parameter too."""
        targets = {
            path.argument: name
            for name, parameter in self.config.parameters.items()
            for path in parameter.targets
            if not path.is_attribute
        }
        for name in site.arguments:
            require_argument(self._source, name, f"{key}.{name}")
            if name in targets:
                raise UserError(
                    f"{key}.{name}: environment.parameters.{targets[name]} sets this argument in "
                    "every environment; vary it by environment.perturb, or remove the parameter"
                )
        require_complete(self._source, site.arguments, key)

    def _require_spaces(self, env: Any, site: Site) -> None:
        """Raise UserError if an environment has other spaces than the first one."""
        wanted = self._spaces
        for what, space, own in (
            ("observation", wanted.observation, env.observation_space),
            ("action", wanted.action, env.action_space),
        ):
            same = space.shape == own.shape if what == "observation" else space == own
            if not same:
                raise UserError(
                    f"{self._source.key}: every environment must have the same {what} space; got "
                    f"{short(own)} at {site}, and {short(space)} at {self._first}"
                )

    @contextmanager
    def _all_or_none(self, dynamics: Dynamics, seeds: EpisodeSeeds) -> Iterator[list[UserEnv]]:
        """Yield the environments, and close all of them if one, or the block, fails."""
        sites = dynamics.get(ENVIRONMENT)
        with ExitStack() as opened:
            envs: list[UserEnv] = []
            for row in range(len(seeds)):
                values = {name: float(dynamics[name][row]) for name in self.parameters}
                try:
                    site = None if sites is None else sites[row]
                    envs.append(self.build(values, site))
                    opened.callback(close_and_log, envs[-1])
                except Exception as error:
                    seeds.attribute_error(error, row)
                    raise
            yield envs
            opened.pop_all()


class _Tried(NamedTuple):
    """Results of a configuration's first use in this process.

    libraries: bytes that stay after an environment was made and closed.
    """

    libraries: int
    trial: Trial


_TRIALS: dict[str, _Tried] = {}
"""Configuration -> results, so that each process runs a trial once."""
