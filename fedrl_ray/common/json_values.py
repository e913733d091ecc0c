"""Values as JSON: a check for configurations, and results with null in place of NaN."""

from __future__ import annotations

import json
import math
from typing import Any


def require_json(value: Any) -> Any:
    """Return the value unchanged. Raise ValueError if JSON cannot hold it.

    Experiments travel to their workers, and to config.yaml, as JSON.
    """
    try:
        same = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError, RecursionError):
        same = False
    if not same:
        raise ValueError(
            "must be made of null, true, false, finite numbers, text, lists and mappings with "
            "text keys"
        )
    return value


def tuples_as_lists(value: Any) -> Any:
    """Return a copy with a list in place of each tuple: neither YAML nor JSON has tuples."""
    if isinstance(value, dict):
        return {key: tuples_as_lists(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [tuples_as_lists(inner) for inner in value]
    return value


def nan_as_null(value: Any) -> Any:
    """Return a copy with None in place of NaN and infinity, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: nan_as_null(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [nan_as_null(inner) for inner in value]
    return value
