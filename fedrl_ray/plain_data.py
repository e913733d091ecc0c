"""Values that a configuration may hold: what JSON can say."""

from __future__ import annotations

import json
from typing import Any


def plain(value: Any) -> Any:
    """The value. Experiments travel to their actors, and to config.yaml, as JSON: raises
    ValueError for anything else."""
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
