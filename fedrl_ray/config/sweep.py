"""Keys of the section `sweep`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from algorithms.settings import Settings

from .search_spaces import Choice, Grid, SearchRange, parse

Count = Annotated[int, Field(ge=1)]


class Fifo(Settings):
    """Every trial runs to the end of its budget."""

    name: Literal["fifo"] = "fifo"


class Asha(Settings):
    """ASHA: of the trials that reach a rung, only the best go on (Li et al. 2020)."""

    name: Literal["asha"]
    grace: Count | None = None
    """Local steps per agent before a trial may be stopped; null: the budget / reduction^2."""
    reduction: Annotated[int, Field(ge=2)] = 3
    """One trial in so many goes on from rung to rung."""


class Pbt(Settings):
    """Population based training: poor trials take up the state of good ones, with other keys."""

    name: Literal["pbt"]
    interval: Count | None = None
    """Local steps per agent between two exchanges; null: a tenth of the budget."""
    resample: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Probability that a key is drawn anew; else it is multiplied by 0.8 or 1.2."""


class SweepConfig(Settings):
    """Keys of `sweep`: what is searched, and how."""

    search: Annotated[dict[str, Any], Field(min_length=1)]
    """Dotted keys of the experiment, each with a list of values (a grid) or a distribution:
    {uniform: [low, high]}, {loguniform: [low, high]}, {randint: [low, high]} without the upper
    end, {choice: [values]}."""
    seeds: Count = 1
    """Seeds of every point: the experiment's `seed` and those that follow it."""
    samples: Count = 1
    """Draws of the distributions; under optuna suggestions, under pbt the population."""
    metric: Literal["worst", "average", "nominal", "cvar"] = "worst"
    """What schedulers and searchers maximise; cvar is the mean of the worst quarter of the test
    environments."""
    scheduler: Annotated[Fifo | Asha | Pbt, Field(discriminator="name")] = Fifo()
    """Which trials go on: fifo, asha or pbt; a name, or a mapping with its keys."""
    searcher: Literal["random", "optuna"] = "random"
    """Who draws from the distributions: independent draws, or Optuna's suggestions."""
    backend: Literal["auto", "in_process", "ray"] = "auto"
    """Agents of a trial in its own process, or as actors with a CPU each; auto: actors where the
    cluster has more than one node."""
    max_concurrent: Count | None = None
    """Most trials at once; null: as many as there are CPUs."""
    max_failures: Annotated[int, Field(ge=0)] = 3
    """Deaths of a trial's process after which it is given up."""
    trackers: tuple[Literal["mlflow", "wandb"], ...] = ()
    """Experiment trackers that are told too; they read their own environment variables."""

    @model_validator(mode="before")
    @classmethod
    def _scheduler_by_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("scheduler"), str):
            return data | {"scheduler": {"name": data["scheduler"]}}
        return data

    @field_validator("search")
    @classmethod
    def _spaces_parse(cls, search: dict[str, Any]) -> dict[str, Any]:
        for key, raw in search.items():
            parse(key, raw)
        return search

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        draws = any(not isinstance(space, Grid) for space in self.spaces().values())
        if self.samples > 1 and not draws:
            raise ValueError("samples above 1 needs a distribution in search; seeds repeats points")
        if self.searcher == "optuna":
            self._fits_optuna(draws)
        if isinstance(self.scheduler, Pbt):
            self._fits_pbt()
        return self

    def _fits_optuna(self, draws: bool) -> None:
        if not draws or any(isinstance(space, Grid) for space in self.spaces().values()):
            raise ValueError("searcher optuna needs distributions ({choice: [...]}, not a list)")
        if not isinstance(self.scheduler, Fifo) and self.seeds > 1:
            raise ValueError("searcher optuna with seeds above 1 needs scheduler fifo")
        if isinstance(self.scheduler, Pbt):
            raise ValueError("scheduler pbt does its own search: searcher must be random")

    def _fits_pbt(self) -> None:
        if self.seeds > 1:
            raise ValueError("scheduler pbt needs seeds 1: its trials share one state's history")
        if self.samples < 2:
            raise ValueError("scheduler pbt needs samples of at least 2, its population")
        for key, space in self.spaces().items():
            if not key.startswith("learner.") or key == "learner.replay_capacity":
                raise ValueError(f"scheduler pbt can change keys of the learner only, not {key}")
            if isinstance(space, Choice | SearchRange) and space.is_numeric():
                continue
            raise ValueError(f"scheduler pbt needs a distribution over numbers for {key}")

    def spaces(self) -> dict[str, Grid | SearchRange | Choice]:
        """The parsed search space."""
        return {key: parse(key, raw) for key, raw in self.search.items()}

    def identity(self) -> dict[str, Any]:
        """What decides the table: a sweep is resumed only under the same."""
        data = self.model_dump(mode="json")
        free = ("backend", "max_concurrent", "max_failures", "trackers")
        return {key: value for key, value in data.items() if key not in free}
