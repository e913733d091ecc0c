"""Train an experiment in this process; print its estimate and its peak resident memory in bytes."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

from fedrl_ray.backends.memory_estimate import estimate
from fedrl_ray.config.loading import load
from tests.support.runs import train


def main() -> None:
    """Print {estimated, measured} as the last line of standard output."""
    experiment = load(Path(sys.argv[1]), sys.argv[2:])
    estimated = estimate(experiment, 0).total
    with tempfile.TemporaryDirectory() as folder:
        train(experiment, Path(folder) / "run")
    print(json.dumps({"estimated": estimated, "measured": peak()}))


def peak() -> int:
    """Return the peak of this program alone; `ru_maxrss` would begin with its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
