"""Environments of users whose results are not Gymnasium's, or whose parameters cannot be set."""

from __future__ import annotations

import dataclasses
import decimal
import sys
import types
from collections import namedtuple
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from tests.support.odd_envs import OddSpring

OBSERVATIONS: dict[str, Any] = {
    "ragged": [1.0, [2.0, 3.0]],
    "masked": np.ma.masked_array([1.0, 2.0], [False, True]),
    "complex": np.array([1.0, 2.0j]),
    "objects": np.array([1.0, 2.0], dtype=object),
    "nothing": None,
    "text": "ab",
    "mapping": {"x": 1.0},
    "list": [1.0, 2.0],
    "whole": np.array([1, 2], dtype=np.int64),
    "mask of none": np.ma.masked_array([1.0, 2.0], [False, False]),
    "truth": np.array([True, False]),
}
REWARDS: dict[str, Any] = {
    "complex": np.complex128(1.0),
    "decimal": decimal.Decimal("0.5"),
    "text": "0.5",
    "digits": 10**400,
    "no dimensions": np.array(0.5),
    "half": np.float16(0.5),
    "truth": np.bool_(True),
}
ENDS: dict[str, Any] = {
    "nothing": None,
    "text": "no",
    "two": np.array([False, False]),
    "float": 0.0,
    "no dimensions": np.array(False),
    "whole": 0,
}


class Stubborn(OddSpring):
    """From the step `after` on, one of Gymnasium's five values is an odd one.

    what: obs, reward, terminated, truncated, info, or `count` for four values.
    """

    def __init__(self, what: str = "", kind: str = "", after: int = 0) -> None:
        super().__init__()
        self.what, self.kind, self.after = what, kind, after

    def step(self, action: Any) -> Any:
        result = list(super().step(action))
        if self.t < self.after:
            return tuple(result)
        if self.what == "count":
            return tuple(result[:4])
        odd = {
            "obs": (0, OBSERVATIONS.get(self.kind)),
            "reward": (1, REWARDS.get(self.kind)),
            "terminated": (2, ENDS.get(self.kind)),
            "truncated": (3, ENDS.get(self.kind)),
            "info": (4, None),
        }
        if self.what:
            place, value = odd[self.what]
            result[place] = value
        return tuple(result)


class LateReset(OddSpring):
    """From the 60th reset on, no pair is returned: after the trial."""

    resets = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.resets += 1
        obs, info = super().reset(seed=seed)
        return (obs, info) if self.resets < 60 else obs


class NeedsOptions(OddSpring):
    """A reset that cannot be called without options."""

    def reset(self, seed: int | None, options: Any) -> Any:  # type: ignore[override]
        return super().reset(seed=seed)


class PositionalSeed(OddSpring):
    """A reset that takes no keyword."""

    def reset(self, seed: int | None = None, /) -> Any:  # type: ignore[override]
        return super().reset(seed=seed)


class SeedlessWrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A wrapper whose reset takes no seed."""

    def reset(self) -> Any:  # type: ignore[override]
        return self.env.reset()


class ExitingClose(OddSpring):
    """A close that ends the program."""

    def close(self) -> None:
        sys.exit(3)


class PickyDict(OddSpring):
    """Observations that lack a key of their Dict space."""

    def __init__(self) -> None:
        super().__init__()
        box = spaces.Box(-np.inf, np.inf, (1,), np.float64)
        self.observation_space = spaces.Dict({"x": box, "v": box})

    def observe(self, fault: str = "") -> Any:
        return {"x": np.array([self.x])}


class Slotted:
    """A holder without __dict__."""

    __slots__ = ("m",)

    def __init__(self) -> None:
        self.m = 1.0


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A holder that cannot be changed."""

    m: float = 1.0


Pair = namedtuple("Pair", ["m", "n"])


class Holder(OddSpring):
    """A mass that one of many kinds of holders keeps."""

    def __init__(self) -> None:
        super().__init__()
        fixed = np.array([1.0, 2.0])
        fixed.flags.writeable = False
        self.slotted, self.frozen, self.pair, self.row = Slotted(), Frozen(), Pair(1.0, 2.0), (1.0,)
        self.fixed, self.whole = fixed, np.array([1, 2])
        self.single, self.bytes = np.array([1.0], dtype=np.float32), np.array([1], dtype=np.uint8)
        self.records = [{"m": 1.0}, {"m": 2.0}]
        self.view = types.MappingProxyType({"m": 1.0})
        self.zero = np.array(1.0)
        self.narrow, self.flag, self.table = 1.0, True, np.array([1.0, 2.0])

    @property
    def computed(self) -> float:
        """A value without a setter."""
        return 1.0

    @property
    def clamped(self) -> float:
        """A value that a setter keeps within [0, 2]."""
        return self.narrow

    @clamped.setter
    def clamped(self, value: float) -> None:
        self.narrow = min(value, 2.0)

    @property
    def strict(self) -> float:
        """A value whose setter raises an error of the user."""
        return self.narrow

    @strict.setter
    def strict(self, value: float) -> None:
        raise ValueError("mine")

    def set_nothing(self) -> None:
        """Take no value."""


class Passing(OddSpring):
    """A constructor that passes its arguments on."""

    def __init__(self, **others: Any) -> None:
        super().__init__(**others)
