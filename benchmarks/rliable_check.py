"""Our statistics beside those of rliable (Agarwal et al. 2021), if both define the same one.

    python benchmarks/rliable_check.py

rliable 1.2.0 does not import beside pandas 3. It is therefore downloaded into a virtual
environment of its own, in a temporary folder. Exits with 1 if a statistic differs by more than
1e-12.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

from algorithms.types import Array
from fedrl_ray.analysis.statistics import (
    RETURN_STATISTICS,
    estimate,
    probability_of_improvement,
)

REQUIREMENTS = ("rliable==1.2.0", "pandas<3")
TOLERANCE = 1e-12
Table = dict[str, dict[str, float]]
"""Maps a case to statistics, and each statistic to its value."""

THEIRS = """
import json, sys
from importlib.metadata import version
import numpy as np
from rliable import metrics

found = {}
for name, pair in json.load(open(sys.argv[1])).items():
    a, b = (np.array(x) for x in pair)
    found[name] = {
        "average": metrics.aggregate_mean(a),
        "iqm": metrics.aggregate_iqm(a),
        "median of environments": metrics.aggregate_median(a),
        "probability of improvement": metrics.probability_of_improvement(a, b),
    }
names = ("rliable", "numpy", "scipy", "pandas")
json.dump({"versions": {n: version(n) for n in names}, "found": found}, open(sys.argv[2], "w"))
"""


def cases() -> dict[str, tuple[Array, Array]]:
    """Return the mean returns [S, M] of two methods, by the name of the case."""
    rng = np.random.default_rng(0)
    shapes = {
        "5 and 5 seeds, 11 environments": ((5, 11), (5, 11)),
        "3 and 10 seeds, 11 environments": ((3, 11), (10, 11)),
        "10 and 3 seeds, 1 environment": ((10, 1), (3, 1)),
        "1 and 1 seed, 7 environments": ((1, 7), (1, 7)),
        "25 and 20 seeds, 50 environments": ((25, 50), (20, 50)),
    }
    normal = {k: (rng.normal(size=a), rng.normal(0.3, size=b)) for k, (a, b) in shapes.items()}
    tied = {f"{k}, with ties": (a.round(), b.round()) for k, (a, b) in normal.items()}
    same = {"a method and itself": (normal["5 and 5 seeds, 11 environments"][0],) * 2}
    return normal | tied | same


def ours(pairs: dict[str, tuple[Array, Array]]) -> Table:
    """Return our statistics.

    rliable takes the median of means over seeds, so our `p50` is applied to those means.
    """
    return {
        name: {
            "average": estimate(a_SM[:, :, None], "average"),
            "iqm": estimate(a_SM[:, :, None], "iqm"),
            "median of environments": float(RETURN_STATISTICS["p50"](a_SM.mean(0))),
            "probability of improvement": probability_of_improvement(a_SM, b_SM).estimate,
        }
        for name, (a_SM, b_SM) in pairs.items()
    }


def theirs(pairs: dict[str, tuple[Array, Array]]) -> tuple[Table, dict[str, str]]:
    """Return rliable's statistics, and the versions of the packages that computed them."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "venv", with_pip=True)
        python = str(home / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python")
        run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS])
        data = {name: [x.tolist() for x in pair] for name, pair in pairs.items()}
        (home / "data.json").write_text(json.dumps(data), encoding="utf-8")
        run([python, "-c", THEIRS, str(home / "data.json"), str(home / "found.json")])
        read = json.loads((home / "found.json").read_text(encoding="utf-8"))
    return read["found"], read["versions"]


def run(command: list[str]) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Print a table of differences."""
    pairs = cases()
    expected, versions = theirs(pairs)
    found, worst = ours(pairs), 0.0
    print("| case | statistic | ours | rliable | difference |\n|---|---|---|---|---|")
    for case, statistics in expected.items():
        for name, value in statistics.items():
            gap = abs(found[case][name] - value)
            worst = max(worst, gap)
            print(f"| {case} | {name} | {found[case][name]:.12f} | {value:.12f} | {gap:.1e} |")
    print(f"\n{', '.join(' '.join(pair) for pair in versions.items())}")
    print(f"largest difference {worst:.1e}, allowed {TOLERANCE:.0e}")
    sys.exit(not worst <= TOLERANCE)


if __name__ == "__main__":
    main()
