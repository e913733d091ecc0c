"""Keys of experiments: dotted names, short names, and the keys that decide the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

Flat = dict[str, Any]
"""Maps a dotted key to its value."""

OMEGA, SYNC = "learner.omega", "federation.sync_interval"

_SHORT = {
    OMEGA: "omega",
    SYNC: "E",
    "federation.num_agents": "K",
    "learner.name": "learner",
    "environment.name": "environment",
    "aggregator.name": "aggregator",
}
_PARTS = {"start", "end", "steps", "shape", "low", "high"}
"""Last parts of keys that need the part before them to be understood."""
_NUMBERS_UNCHANGED = (
    "name",
    "seed",
    "sweep",
    "checkpoint",
    "resources",
    "modules",
    "trackers",
    "federation.backend",
    "federation.channel",
    "federation.agents_per_actor",
    "federation.round_timeout",
    "federation.start_timeout",
    "federation.max_rewinds",
)
_TEST = ("environment", "evaluation", "federation.steps", "federation.num_agents")
"""Sections and keys that must be equal for a comparison: test, budget and number of agents."""


def flatten(data: Mapping[str, Any], prefix: str = "") -> Flat:
    """Return nested sections as dotted keys; an empty section keeps its own key."""
    flat: Flat = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def identity(flat: Mapping[str, Any]) -> Flat:
    """Return the keys that decide a method's results: not its seed, its name or its backend."""
    return {key: value for key, value in flat.items() if not _below(key, _NUMBERS_UNCHANGED)}


def setting(flat: Mapping[str, Any]) -> Flat:
    """Return the keys that must be equal for two methods to be compared."""
    return {
        key: value
        for key, value in flat.items()
        if _below(key, _TEST) and key != "evaluation.every"
    }


def differing(flats: Iterable[Flat]) -> list[str]:
    """Return the keys with more than one value, in the usual order: learner, omega, E, ..."""
    flats = list(flats)
    keys = list(dict.fromkeys(key for flat in flats for key in flat))
    first = [key for key in ("learner.name", OMEGA, SYNC) if key in keys]
    ordered = first + [key for key in keys if key not in first]
    return [k for k in ordered if any(_value(f, k) != _value(flats[0], k) for f in flats)]


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Return a short name for each key.

    It is the project's symbol, or else the last part; an ambiguous name is replaced by the key.
    """
    names = {key: _SHORT.get(key) or _last(key) for key in keys}
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else key for key, name in names.items()}


def round_steps(flat: Mapping[str, Any]) -> int:
    """Return the local steps between two averagings, even if E counts training iterations."""
    in_iterations = flat.get("learner.interval_unit") == "iterations"
    unit = flat.get("learner.iteration_steps") if in_iterations else 1
    return int(flat[SYNC]) * (unit if isinstance(unit, int) else 1)


def level(value: Any) -> float | None:
    """Return a key's value as a number; a list (one value per agent) gives its mean."""
    if isinstance(value, list | tuple) and value:
        levels = [level(v) for v in value]
        return None if None in levels else sum(x for x in levels if x is not None) / len(levels)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _last(key: str) -> str:
    parts = key.split(".")
    return ".".join(parts[-2:]) if parts[-1] in _PARTS and len(parts) > 2 else parts[-1]


def _below(key: str, sections: Iterable[str]) -> bool:
    return any(key == section or key.startswith(f"{section}.") for section in sections)


def _value(flat: Mapping[str, Any], key: str) -> Any:
    """Return a value that tells a missing key from null, and True from 1."""
    value = flat.get(key, _MISSING)
    return (isinstance(value, bool), value)


_MISSING = object()
