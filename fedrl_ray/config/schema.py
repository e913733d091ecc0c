"""The experiment: a strict YAML file as frozen models.

`loading` reads one. Each plug-in section (`learner`, `aggregator`, `environment` and so on) holds
the `Config` of the plug-in that it names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from algorithms.learner import LearnerConfig
from algorithms.settings import Settings

from ..common.json_values import require_json
from ..ray_cluster.resources import ResourcesConfig
from ..vector_envs.parameters import EnvironmentConfig, Perturbation
from .plugins import KINDS
from .sweep import SweepConfig

Count = Annotated[int, Field(ge=1)]
MOST_ROLLOUTS = 10**6
"""Most episodes of one evaluation."""
_PLUGINS = tuple(kind.section for kind in KINDS.values())


class FederationConfig(Settings):
    """Keys of `federation`: the agents, their budget, and the backend."""

    num_agents: Count = 5
    """Number K of local agents, each with its own environment."""
    steps: Count = 50_000
    """Budget: local steps per agent. The number of rounds is steps / sync_interval."""
    sync_interval: Count = 100
    """Local steps E between two averagings; E must divide `steps`."""
    backend: Literal["auto", "ray", "in_process"] = "auto"
    """`ray` runs the local agents in Ray actors, `in_process` runs all of them in the driver's
    process. `auto` runs them in the process if the learner is tabular or one actor would hold all
    agents, unless `resources` asks Ray for something. The results are the same."""
    agents_per_actor: Count | Literal["auto"] = "auto"
    """Local agents in one Ray actor. auto: one actor per CPU, with the agents spread evenly."""
    channel: Literal["auto", "ray"] = "auto"
    """Transport between the driver and its Ray workers. `auto` uses shared memory for workers on
    the driver's node and Ray's messages for all others. `ray` uses Ray's messages only. The results
    are the same."""
    round_timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds that an actor may take for a round. Then the driver kills and rebuilds it."""
    start_timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that a new actor may take to find its resources and to start."""
    on_failure: Literal["rewind", "continue"] = "rewind"
    """Reaction to a lost actor. `rewind` reloads the last checkpoint and gives the same bits as an
    undisturbed run; `continue` goes on with the surviving agents."""
    max_rewinds: Annotated[int, Field(ge=0)] = 3
    """Most failures in a row, without a new round completed. One more ends the run."""
    min_agents: Count = 1
    """Fewest agents that make a round, under `on_failure: continue`."""


class EvaluationConfig(Settings):
    """Keys of `evaluation`: the test grid and the schedule of evaluations."""

    every: Count | None = 1000
    """Local steps between two evaluations; each takes place at the next averaging. null: only at
    the end."""
    grid: Annotated[int, Field(ge=1, le=100_000)] = 11
    """Number of environments in the test grid."""
    episodes: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Episodes per environment."""
    perturb: dict[str, Perturbation] | None = None
    """Parameters that the test grid perturbs; null: the same as `environment.perturb`."""
    environments: dict[str, dict[str, Annotated[Any, AfterValidator(require_json)]]] | None = None
    """Test environments by name, in place of the grid. Each names the physical parameters that are
    not nominal, and constructor arguments of a user's environment: {harbour: {site: harbour}}."""
    where: Literal["driver", "agents", "none"] = "driver"
    """`driver` evaluates in the driver on the test grid, `agents` lets each agent evaluate on its
    own environment (a fleet without a simulator), `none` evaluates never."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the evaluation episodes. It does not depend on the experiment's `seed`, so that runs
    are paired."""

    @model_validator(mode="after")
    def _rollouts_have_a_size(self) -> Self:
        if self.size * self.episodes > MOST_ROLLOUTS:
            raise ValueError(
                f"grid * episodes must be at most {MOST_ROLLOUTS}, as all run at once; "
                f"got {self.size * self.episodes}"
            )
        return self

    @model_validator(mode="after")
    def _one_grid(self) -> Self:
        if self.environments is not None and self.perturb is not None:
            raise ValueError("must not have both perturb and environments; each makes a test grid")
        if self.environments is not None and not self.environments:
            raise ValueError("environments must name at least one environment; got none")
        return self

    @property
    def size(self) -> int:
        """Number of test environments that the keys ask for."""
        return self.grid if self.environments is None else len(self.environments)


class CheckpointConfig(Settings):
    """Keys of `checkpoint`."""

    every: Count | None = 5000
    """Local steps between two checkpoints; each is written at the next averaging. null: only the
    first and the last."""
    keep: Count = 2
    """Number of newest checkpoints that are kept."""


class Plugin(Settings):
    """A plug-in by name, with the keys of its own schema."""

    name: str
    """File name of the plug-in."""
    settings: Settings
    """The plug-in's validated `Config`."""

    def build_dict(self) -> dict[str, Any]:
        """Return name and keys side by side, as in the YAML."""
        keys: dict[str, Any] = self.settings.model_dump(mode="json")
        return {"name": self.name} | keys

    def is_default(self, name: str | None) -> bool:
        """Return True if this is the plug-in of that name with its default keys."""
        return self.name == name and self.settings == type(self.settings)()


class LearnerPlugin(Plugin):
    """The learner with its keys."""

    settings: LearnerConfig


class EnvironmentPlugin(Plugin):
    """The environment family with its keys."""

    settings: EnvironmentConfig


EXECUTION_KEYS = (("environment", "threads"), ("learner", "device"), ("learner", "compiled"))
"""Keys of the execution profile: another value gives the same experiment, but other bits."""


_SINCE_0_2 = ("server_optimizer", "client_sampler")
_SINCE_0_2_WITH_DEFAULT: dict[str, Any] = {"agents": None, "wrappers": [], "flatten": False}
"""Keys of `environment` that version 0.1 did not have."""


class Experiment(Settings):
    """One experiment, complete: every key has its value."""

    name: Annotated[str, Field(pattern=r"^\w[\w .+-]{0,99}$")] = "experiment"
    """Name of the experiment in runs and reports: letters, digits, `_ . + -` and blanks."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of all random numbers except those of the evaluation episodes."""
    federation: FederationConfig = FederationConfig()
    learner: LearnerPlugin
    aggregator: Plugin
    server_optimizer: Plugin
    client_sampler: Plugin
    environment: EnvironmentPlugin
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    resources: ResourcesConfig = ResourcesConfig()
    modules: str | None = None
    """Folder with modules of your own, besides those that are installed or in PYTHONPATH. A
    relative one starts at the experiment file. null: the folder of the experiment file, then the
    working directory; a run records the one that it used."""
    trackers: tuple[Literal["mlflow", "wandb"], ...] = ()
    """Experiment trackers that also get the results of `train` and `sweep`. They read their own
    environment variables."""
    sweep: SweepConfig | None = None
    """Search of `fedrl-ray sweep`; `train` ignores it."""

    @property
    def round_steps(self) -> int:
        """Local steps between two averagings: E times the learner's unit, which is mostly 1."""
        return self.federation.sync_interval * self.learner.settings.steps_per_interval_unit()

    @property
    def rounds(self) -> int:
        """Number of averagings in the budget."""
        return self.federation.steps // self.round_steps

    @property
    def test_perturb(self) -> Mapping[str, Perturbation]:
        """Parameters that the test grid perturbs."""
        own = self.evaluation.perturb
        return self.environment.settings.perturb if own is None else own

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` reads back: the content of config.yaml, no sweep."""
        data = self.model_dump(mode="json", exclude={"sweep", *_PLUGINS})
        return data | {name: plugin.build_dict() for name, plugin in self.plugins().items()}

    def plugins(self) -> dict[str, Plugin]:
        """Return every plug-in by its section."""
        return {
            "learner": self.learner,
            "aggregator": self.aggregator,
            "server_optimizer": self.server_optimizer,
            "client_sampler": self.client_sampler,
            "environment": self.environment,
        }

    def identity(self) -> dict[str, Any]:
        """Return the keys that decide the learnt parameters; a resume requires the same ones.

        Sections and keys that version 0.1 did not have are left out while they hold their defaults.
        """
        data = self.to_dict()
        for kind in KINDS.values():
            if kind.section in _SINCE_0_2 and self.plugins()[kind.section].is_default(kind.default):
                del data[kind.section]
        federation = {k: data["federation"][k] for k in ("num_agents", "sync_interval")}
        for section, key in EXECUTION_KEYS:
            data[section].pop(key, None)
        environment = data["environment"]
        environment.pop("max_open", None)
        for key, default in _SINCE_0_2_WITH_DEFAULT.items():
            if environment.get(key) == default:
                environment.pop(key, None)
        if isinstance(agents := environment.get("agents"), dict):
            environment["agents"] = list(agents.items())  # their order decides the ids
        kept = {key: data[key] for key in ("seed", *_PLUGINS) if key in data}
        return kept | {"federation": federation}

    def fingerprint(self) -> str:
        """Return the sha256 of `identity`."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()
