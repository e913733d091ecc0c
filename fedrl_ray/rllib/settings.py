"""What this package needs to know of the keys of `learner: {name: rllib}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class RLlibSettings(Protocol):
    """The keys, documented where the learner is: `fedrl_ray.learners.rllib`."""

    @property
    def algorithm(self) -> str: ...

    @property
    def config(self) -> Mapping[str, Any]: ...

    @property
    def interval_unit(self) -> str: ...

    @property
    def iteration_steps(self) -> int | None: ...

    @property
    def omega(self) -> float: ...

    @property
    def expectile(self) -> float: ...
