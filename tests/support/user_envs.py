"""Small environments like those of users: a mass on a spring, in several variants."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Spring(gymnasium.Env[Any, Any]):
    """Push a mass on a spring; observations [2, 1], actions -1, 0, 1. It cannot save itself."""

    def __init__(self, mass: float = 1.0, colour: float = 0.5, wind: float = 0.0) -> None:
        self.mass, self.colour, self.stiffness, self.wind = mass, colour, 2.0, wind
        self.name = "spring"
        self.observation_space = spaces.Box(-np.inf, np.inf, (2, 1), np.float64)
        self.action_space: Any = spaces.Discrete(3, start=-1)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.x, self.v = self.np_random.uniform(-1, 1, size=2)
        return self.observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action in self.action_space
        gust = self.wind * self.gust()
        force = float(np.sum(action)) + gust - self.stiffness * self.x
        self.v += 0.05 * force / self.mass
        self.x += 0.05 * self.v
        return self.observe(), -(self.x**2), bool(abs(self.x) > 2.5), False, {}

    def observe(self) -> Any:
        return np.array([[self.x], [self.v]])

    def gust(self) -> float:
        return float(self.np_random.normal())


class SavingSpring(Spring):
    """A mass that saves everything but its generator: exact as long as there is no wind."""

    def get_state(self) -> dict[str, Any]:
        return {"motion": np.array([self.x, self.v]), "colour": self.colour}

    def set_state(self, state: dict[str, Any]) -> None:
        self.x, self.v = (float(value) for value in state["motion"])
        self.colour = state["colour"]


class DrawnSpring(SavingSpring):
    """A mass that draws itself, [31, 40, 3], or makes one mistake in that."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    fault = ""
    pictures = 0

    def __init__(self, mass: float = 1.0, render_mode: str | None = None) -> None:
        super().__init__(mass)
        self.render_mode = "ansi" if self.fault == "ansi" else render_mode

    def render(self) -> Any:
        self.pictures += 1
        picture = np.zeros((31, 40, 3), dtype=np.uint8)
        picture[:, int(np.clip(20 + 8 * self.x, 0, 39))] = int(10 * self.mass)
        if self.fault == "raises":
            raise ZeroDivisionError("a bug of the user's own")
        if self.fault == "grows" and self.pictures > 1:
            return picture[:, :20]
        faulty = {"list": [1], "grey": picture[:, :, 0], "float": picture / 255}
        return faulty.get(self.fault, picture)


DRAWN_SPRING: dict[str, Any] = {
    "name": "gymnasium",
    "factory": "tests.support.user_envs:DrawnSpring",
    "max_episode_steps": 30,
    "parameters": {"mass": {"target": "mass", "low": 0.1, "high": 10.0}},
    "perturb": {"mass": 0.5},
}
"""Section `environment` of an experiment with a DrawnSpring."""


class SilentSpring(SavingSpring):
    """A mass whose state has a type that a checkpoint cannot hold."""

    def get_state(self) -> Any:
        return [self.x, self.v]


class StormySpring(Spring):
    """A mass with hidden randomness: gusts that depend on no seed."""

    def gust(self) -> float:
        return float(np.random.default_rng().normal())


class AgeingSpring(Spring):
    """A mass with hidden memory: its spring softens from episode to episode."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.stiffness *= 0.9
        return super().reset(seed=seed)


class ForgetfulSpring(Spring):
    """A mass whose reset restores the nominal stiffness."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.stiffness = 2.0
        return super().reset(seed=seed)


class PushedSpring(Spring):
    """A mass with continuous actions of shape [2, 1]."""

    def __init__(self, mass: float = 1.0) -> None:
        super().__init__(mass)
        self.action_space = spaces.Box(-1.0, np.array([[1.0], [2.0]]), dtype=np.float64)


class CountedSpring(SavingSpring):
    """A mass that counts all its instances, and those that are still open."""

    made = 0
    open = 0
    most = 0

    def __init__(self, mass: float = 1.0, fault: str = "") -> None:
        super().__init__(mass)
        self.fault = fault
        CountedSpring.made += 1
        CountedSpring.open += 1
        CountedSpring.most = max(CountedSpring.most, CountedSpring.open)
        if fault == "second" and CountedSpring.made % 2 == 0:
            CountedSpring.open -= 1
            raise ZeroDivisionError("a bug of the user's own")

    def step(self, action: Any) -> Any:
        if self.fault == "step":
            raise ZeroDivisionError("a bug of the user's own")
        return super().step(action)

    def close(self) -> None:
        CountedSpring.open -= 1


class HeavySpring(SavingSpring):
    """A spring that breaks under the heaviest mass, some time after every trial of it."""

    steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.mass == 3.0 and self.steps > 60:
            raise ValueError("sensor 7 gives no reading")
        return super().step(action)


class HeldSpring(SavingSpring):
    """A mass that is slow while the file `hold` exists, some time after every trial of it."""

    steps = 0

    def __init__(self, mass: float = 1.0, *, hold: str) -> None:
        super().__init__(mass)
        self.hold = Path(hold)

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps > 60 and self.hold.exists():
            time.sleep(0.005)
        return super().step(action)


class ScaledSpring(SavingSpring):
    """A mass whose rewards are multiplied: a sensor with the wrong unit."""

    def __init__(self, mass: float = 1.0, scale: float = 1.0) -> None:
        super().__init__(mass)
        self.scale = scale

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, reward * self.scale, *rest


class NoisySpring(SavingSpring):
    """A mass that prints: from Python, by the descriptor, from C, and at exit."""

    registered = False

    def __init__(self, mass: float = 1.0) -> None:
        super().__init__(mass)
        print("simulator version 1.2")
        os.write(1, b"build time: yesterday\n")
        ctypes.CDLL(None).puts(b"licence: none")  # stays in C's buffer up to the end
        if not NoisySpring.registered:
            NoisySpring.registered = True
            atexit.register(print, "simulator closed")


class EndingSpring(SavingSpring):
    """A mass that ends the program in one of several ways while the file `flag` exists."""

    def __init__(self, mass: float = 1.0, *, flag: str, way: str) -> None:
        super().__init__(mass)
        self.flag, self.way = Path(flag), way

    def step(self, action: Any) -> Any:
        if self.flag.exists():
            self.end()
        return super().step(action)

    def end(self) -> None:
        if self.way == "sys.exit":
            sys.exit(0)
        if self.way == "exit":
            exit()
        if self.way == "os._exit":
            os._exit(0)
        raise asyncio.CancelledError


class FaultySpring(Spring):
    """An environment that does one thing wrong."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        if fault == "observation space":
            self.observation_space = spaces.Discrete(4)  # type: ignore[assignment]
        if fault == "action space":
            self.action_space = spaces.Box(-np.inf, np.inf, (1,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        obs, info = super().reset(seed=seed)
        return obs if self.fault == "old reset" else (obs, info)

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(action)
        if self.fault == "old step":
            return obs, reward, terminated, info
        if self.fault == "nan":
            obs = obs * np.nan
        if self.fault == "shape":
            obs = obs.ravel()
        if self.fault == "exception":
            raise ZeroDivisionError("a bug of the user's own")
        return obs, np.inf if self.fault == "reward" else reward, terminated, truncated, info


def wrapped(limit: int = 30) -> gymnasium.Env[Any, Any]:
    """Return an environment with its own time limit."""
    return gymnasium.wrappers.TimeLimit(Spring(), limit)


def not_an_env() -> object:
    return object()


gymnasium.register("FedrlTestSpring-v0", entry_point=SavingSpring, max_episode_steps=40)
gymnasium.register("FedrlEndlessSpring-v0", entry_point="tests.support.user_envs:Spring")
