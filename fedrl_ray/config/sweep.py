"""Keys of the section `sweep`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from algorithms.settings import Settings

from .search_spaces import Choice, Grid, SearchRange, parse

Count = Annotated[int, Field(ge=1)]


class Fifo(Settings):
    """FIFO: every trial runs to the end of its budget."""

    name: Literal["fifo"] = "fifo"
    """fifo."""


class Asha(Settings):
    """ASHA: only the best of the trials that reach a rung go on (Li et al. 2020)."""

    name: Literal["asha"]
    """asha."""
    grace: Count | None = None
    """Local steps per agent before a trial may be stopped; null: the budget / reduction^2."""
    reduction: Annotated[int, Field(ge=2)] = 3
    """Reduction factor: one trial in `reduction` goes on from a rung to the next."""


class Pbt(Settings):
    """Population based training: poor trials copy the state of good ones and change their keys."""

    name: Literal["pbt"]
    """pbt."""
    interval: Count | None = None
    """Local steps per agent between two exchanges; null: a tenth of the budget."""
    resample: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Probability that a key is drawn anew; otherwise it is multiplied by 0.8 or 1.2."""


class SweepConfig(Settings):
    """Keys of `sweep`: the search space, the scheduler and the searcher."""

    search: Annotated[dict[str, Any], Field(min_length=1)]
    """Dotted keys of the experiment, each with a list of values (a grid) or a distribution:
    {uniform: [low, high]}, {loguniform: [low, high]}, {randint: [low, high]} (high excluded) or
    {choice: [values]}."""
    seeds: Count = 1
    """Number of seeds per point: the experiment's `seed` and the next ones."""
    samples: Count = 1
    """Number of draws from the distributions. With optuna it is the number of suggestions, with pbt
    the size of the population."""
    metric: Literal["worst", "average", "nominal", "cvar"] = "worst"
    """Return that schedulers and searchers maximise; cvar is the mean over the worst quarter of the
    test environments."""
    scheduler: Annotated[Fifo | Asha | Pbt, Field(discriminator="name")] = Fifo()
    """Rule that stops or changes trials: fifo, asha or pbt; a name, or a mapping with its keys."""
    searcher: Literal["random", "optuna"] = "random"
    """Source of the points: independent draws (random), or Optuna's suggestions."""
    backend: Literal["auto", "in_process", "ray"] = "auto"
    """`in_process` runs a trial's agents in its own process, `ray` in actors with a CPU each. auto:
    actors if the cluster has more than one node."""
    max_concurrent: Count | None = None
    """Most trials that run at once; null: as many as there are CPUs."""
    max_failures: Annotated[int, Field(ge=0)] = 3
    """Most deaths of a trial's process. One more gives the trial up."""

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
        """Return the parsed search space of each key."""
        return {key: parse(key, raw) for key, raw in self.search.items()}

    def identity(self) -> dict[str, Any]:
        """Return the keys that decide the results; a resume requires the same ones."""
        data = self.model_dump(mode="json")
        free = ("backend", "max_concurrent", "max_failures")
        return {key: value for key, value in data.items() if key not in free}
