"""Environments of users with odd spaces, data, parameters, resets and ends."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

SPACES: dict[str, spaces.Space[Any]] = {
    "from -1": spaces.Discrete(3, start=-1),
    "from 5": spaces.Discrete(2, start=5),
    "two valves": spaces.MultiDiscrete([3, 2]),
    "valves from 1": spaces.MultiDiscrete([2, 3], start=[1, -1]),
    "switches": spaces.MultiBinary(3),
    "switches in a square": spaces.MultiBinary((2, 2)),
    "narrow": spaces.Box(-0.1, 0.1, (1,), np.float64),
    "one point": spaces.Box(np.array([0.1, -1.0]), np.array([0.1, 2.0]), dtype=np.float64),
    "half": spaces.Box(-0.3, 0.7, (2,), np.float16),
    "single": spaces.Box(-0.1, 0.3, (2, 1), np.float32),
    "pump": spaces.Box(0, 3, (1,), np.int64),
    "dials": spaces.Box(np.array([-2, 10]), np.array([2, 11]), dtype=np.int32),
    "bytes": spaces.Box(0, 255, (2,), np.uint8),
    "relays": spaces.Box(np.array([False, False]), np.array([True, True]), dtype=np.bool_),
    "level": spaces.Box(-1.0, 1.0, (), np.float32),
    "notch": spaces.Box(0, 3, (), np.int32),
}


def in_space(space: spaces.Space[Any], action: Any) -> bool:
    """Return true if a row of actions lies in a space; Discrete spaces take no arrays."""
    return space.contains(action[()] if isinstance(space, spaces.Discrete) else np.asarray(action))


class OddSpring(gymnasium.Env[Any, Any]):
    """A mass on a spring that refuses every action outside its space.

    fault: what it does wrong from the step `after` on, or in its constructor, reset or close.
    """

    def __init__(
        self, space: str = "from -1", mass: float = 1.0, fault: str = "", after: int = 0
    ) -> None:
        self.mass, self.fault, self.after = mass, fault, after
        self.observation_space: Any = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = SPACES[space]
        if fault == "no observation space":
            del self.observation_space
        if fault == "no action space":
            self.action_space = None  # type: ignore[assignment]
        if fault == "empty observation":
            self.observation_space = spaces.Box(0, 1, (0,))
        if fault == "empty action":
            self.action_space = spaces.Box(0, 1, (0,))
        if fault == "image":
            self.observation_space = spaces.Box(0, 255, (2, 2, 3), np.uint8)
        if fault == "largest bounds":
            self.action_space = spaces.Box(np.finfo(np.float32).min, np.finfo(np.float32).max, (1,))
        if fault == "many":
            self.action_space = spaces.MultiDiscrete([11, 10, 10])
        if fault == "wide":
            self.action_space = spaces.Box(0, 2**40, (1,), np.int64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.x, self.v = self.np_random.uniform(-1, 1, size=2)
        self.t = 0
        return self.observe(), None if self.fault == "no info" else {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        self.t += 1
        force = float(np.sum(np.asarray(action, dtype=np.float64)))
        self.v += 0.05 * (force - 2 * self.x) / self.mass
        self.x += 0.05 * self.v
        fault = self.fault if self.t >= self.after else ""
        return (
            self.observe(fault),
            REWARDS.get(fault, -(self.x**2)),
            None if fault == "no end" else bool(abs(self.x) > 2.5),
            False,
            {},
        )

    def observe(self, fault: str = "") -> Any:
        obs: Any = np.array([self.x, self.v])
        if fault == "nan":
            obs[1] = np.nan
        if fault == "huge":
            obs[1] = 1e39
        if fault == "shape":
            obs = obs[:1]
        if fault == "text":
            obs = np.array(["a", "b"])
        return obs

    def close(self) -> None:
        if self.fault == "close":
            raise OSError("the port is gone")
        if self.fault == "endless close":
            time.sleep(60)


REWARDS: dict[str, Any] = {
    "reward nan": np.nan,
    "reward huge": 1e300,
    "reward list": np.array([1.0]),
    "reward none": None,
}


class SeedlessSpring(OddSpring):
    """An environment whose reset takes no seed, as in old Gym."""

    def reset(self) -> Any:  # type: ignore[override]
        return super().reset(seed=0)


class HeavyNan(OddSpring):
    """The reward of heavy masses is NaN from step 45 on."""

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, np.nan if self.mass > 1.2 and self.t >= 45 else reward, *rest


class DictSpring(OddSpring):
    """Observations are a Dict of a number, a category and a pair."""

    def __init__(self, kind: str = "dict") -> None:
        super().__init__()
        self.kind = kind
        box = spaces.Box(-np.inf, np.inf, (1,), np.float64)
        kinds: dict[str, spaces.Space[Any]] = {
            "dict": spaces.Dict({"x": box, "gear": spaces.Discrete(3)}),
            "tuple": spaces.Tuple((box, spaces.MultiBinary(2))),
            "discrete": spaces.Discrete(4),
            "image": spaces.Box(0, 255, (2, 2, 3), np.uint8),
            "sequence": spaces.Sequence(box),
        }
        self.observation_space = kinds[kind]

    def observe(self, fault: str = "") -> Any:
        x = np.array([self.x])
        return {
            "dict": {"x": x, "gear": 1},
            "tuple": (x, np.array([0, 1], dtype=np.int8)),
            "discrete": int(self.x > 0),
            "image": np.full((2, 2, 3), 7 + int(self.x > 0), dtype=np.uint8),
            "sequence": (x,),
        }[self.kind]


class Model:
    """Physics of a robot, as arrays."""

    def __init__(self) -> None:
        self.body_mass = np.array([1.0, 2.0, 4.0])
        self.inertia = np.eye(2)


class Robot(OddSpring):
    """Parameters in an array, a mapping, a method, and a whole number."""

    def __init__(
        self, joints: int = 3, config: dict[str, Any] | None = None, length: float = 0.5
    ) -> None:
        super().__init__()
        self.config = {"density": 1.0, "road": {"lanes": 4}} | (config or {})
        self.parts, self.model = [0.0 for _ in range(joints)], Model()
        self.length, self.polemass = length, 0.1
        self.polemass_length = self.polemass * self.length
        self.payload = 1.0

    def set_payload(self, kg: float) -> None:
        self.payload = kg

    def step(self, action: Any) -> Any:
        self.mass = (
            self.model.body_mass[2] + self.model.inertia[0, 1] + self.payload + self.length
            + self.config["density"] + self.config["road"]["lanes"] + len(self.parts)
        )  # fmt: skip
        return super().step(action)


class Plant(OddSpring):
    """A plant at a site, which is a category, with a table as its valve map."""

    SITES = {"north": 0.5, "south": 1.0, "harbour": 2.0}

    def __init__(self, site: str, valves: Any = None, mass: float = 1.0) -> None:
        super().__init__(mass=self.SITES[site] * mass)
        self.site, self.valves = site, valves
        if site == "north" and valves == "wrong":
            self.action_space = spaces.Discrete(9)


class Seat(OddSpring):
    """A simulator that counts its open instances."""

    open_now = 0
    most = 0

    def __init__(self, mass: float = 1.0) -> None:
        super().__init__(mass=mass)
        Seat.open_now += 1
        Seat.most = max(Seat.most, Seat.open_now)

    def close(self) -> None:
        Seat.open_now -= 1


class Bulky(OddSpring):
    """A simulator of 8 MiB in small blocks, and with libraries of 16 MiB that stay.

    The allocator keeps the blocks when they are freed, because a later one stays.
    """

    libraries: ClassVar[list[Any]] = []

    def __init__(self, mass: float = 1.0) -> None:
        super().__init__(mass=mass)
        if not self.libraries:
            self.libraries.append(np.ones(16 * 2**17))
        self.blocks = [np.ones(2**12) for _ in range(8 * 2**5)]
        self.libraries.append(np.ones(2**9))
        self.itself = self


class Scale(gymnasium.RewardWrapper[Any, Any]):
    """A wrapper that scales the reward, and remembers the order of wrappers."""

    def __init__(self, env: Any, factor: float) -> None:
        super().__init__(env)
        self.factor = factor

    def reward(self, reward: Any) -> float:
        return float(reward) * self.factor
