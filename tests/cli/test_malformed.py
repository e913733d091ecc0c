"""2,000 malformed inputs: each is refused with one line, or rightly accepted.

None ends in a traceback, a hang, much memory or a file outside the run directory. This file has
experiment files, overrides and sections `sweep`; test_malformed_runs.py has the files in run and
sweep directories. `make test` runs a part of the inputs, `make test-all` all of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from fedrl_ray.config import loading
from tests.support.malformed import NAMES, damaged, laughs, mutated, sections, to_yaml, values
from tests.support.malformed_place import (  # fmt: skip
    SHARES,
    SWEPT,
    TINY,
    Ended,
    Place,
    case,
    fedrl,
    newest,
    opened,
    require_refusal,
    run_examples,
)

CHEAP = [
    part
    for key in (
        "federation.steps=20",
        "federation.sync_interval=10",
        "federation.backend=in_process",
    )
    for part in ("--set", key)
]
"""Overrides that make an accepted experiment short."""


CASES: dict[str, Any] = {}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("malformed")) as place:
        yield place


def trained(place: Place, content: bytes, *overrides: str) -> None:
    """Run `train`. An accepted experiment must complete, and config.yaml must equal it."""
    shutil.rmtree(place.out, ignore_errors=True)
    place.experiment.write_bytes(content)
    sets = [part for text in overrides for part in ("--set", text)]
    ended = fedrl("train", place.experiment, *sets, *CHEAP, "--output", place.out, "--json")
    if place.check(ended):
        assert json.loads(ended.out)["status"] == "completed"
        asked = loading.load(place.experiment, [*overrides, *CHEAP[1::2]])
        assert loading.load(place.out / "config.yaml").to_dict() == asked.to_dict()
    else:
        assert not place.out.exists()


@case(CASES, 450, data=mutated(TINY))
def experiments_with_other_values(place: Place, data):
    trained(place, sections(data).encode("utf-8", "surrogatepass"))


@case(CASES, 250, content=damaged(yaml.safe_dump(TINY).encode()))
def experiments_with_other_bytes(place: Place, content):
    trained(place, content)


KEYS = [f"{s}.{key}" for s, keys in TINY.items() if isinstance(keys, dict) for key in keys]


@case(
    CASES,
    250,
    key=st.sampled_from(KEYS) | st.sampled_from(NAMES) | st.text(max_size=10),
    value=values.map(to_yaml),
)
def overrides(place: Place, key, value):
    trained(place, yaml.safe_dump(TINY).encode(), f"{key}={value}")


USERS_OWN = {
    "name": "gymnasium",
    "id": "CartPole-v1",
    "max_episode_steps": 20,
    "parameters": {"pole": {"target": "unwrapped.length", "nominal": 0.5, "low": 0.1, "high": 1.0}},
    "perturb": {"pole": {"low": 0.4, "high": 0.6}},
    "kwargs": {"render_mode": None},
}


@case(
    CASES,
    60,
    source=st.sampled_from(["id", "factory"]),
    name=st.sampled_from(NAMES),
    environment=mutated(USERS_OWN),
)
def environments_of_users(place: Place, source, name, environment):
    if isinstance(environment.get("id"), str):
        environment[source] = name
    place.experiment.write_text(sections(TINY | {"environment": environment}), errors="replace")
    trained(place, place.experiment.read_bytes(), "evaluation.perturb=null")


@case(CASES, 300, section=mutated(SWEPT["sweep"]))
def sections_sweep(place: Place, section):
    """Use an output that is taken: the refusal shows that the section was accepted, without Ray."""
    place.experiment.write_text(sections(TINY | {"sweep": section}), errors="surrogatepass")
    place.fresh("sweep")
    ended = fedrl("sweep", place.experiment, "--output", place.run)
    assert not place.check(ended)
    assert str(place.experiment) in ended.err or "already holds a sweep" in ended.err


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", CASES)
def test_malformed_input_is_refused_in_one_line_or_accepted_rightly(place, name, share):
    count, body, drawn = CASES[name]
    run_examples(round(count * share), body, place, **drawn)


BOMBS = [
    laughs(30, 10), laughs(30, 10, merge=True), laughs(4, 40),
    "[" * 5000, "{a: " * 5000, "- " * 5000,
    "a: " * 40 + "1", "? " * 5000, "a: &a [*a]", "a: &a {b: *a}", "#" * 5_000_000, "a" * 5_000_000,
    "- 1\n" * 100_000, "a: 'x", "%YAML 9.9\n---\na: 1", "a: 1\n---\nb: 2", "\0", "",
]  # fmt: skip


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:12])
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_files_that_stand_for_more_than_they_are(place, command, text):
    place.experiment.write_text(text)
    shutil.rmtree(place.out, ignore_errors=True)
    assert not place.check(fedrl(command, place.experiment, "--output", place.out))


REFUSED = [
    ("train", "a: [1"),
    ("train", "\0"),
    ("train", "- 1"),
    ("train", "name: x\nname: y"),
    ("train", "!!python/object/apply:os.system [touch executed]"),
    ("train", "a: &a [*a]"),
    ("train", laughs(30, 10)),
    ("train", laughs(30, 10, merge=True)),
    ("train", "[" * 3000),
    ("train", "learner: {name: ../x}\nenvironment: {name: cartpole}"),
    ("train", "seed: 0x" + "F" * 5000),
    ("train", "learner: {name: fedrdqn, my-key: 1}\nenvironment: {name: cartpole}"),
    ("train", "environment: {name: gymnasium, factory: '../x:make'}\nlearner: {name: fedrdqn}"),
    ("train", "learner: {name: fedrdqn, omega: .nan}\nenvironment: {name: cartpole}"),
    ("train", 'learner: {name: fedrdqn}\nenvironment: {name: cartpole}\n"\\e[31m": 1'),
    ("sweep", "sweep: {search: {}}\nlearner: {name: fedrdqn}\nenvironment: {name: cartpole}"),
    ("sweep", "sweep: 3"),
    ("evaluate", ""),
    ("report", ""),
    ("describe", "../../etc/passwd"),
]


@pytest.mark.parametrize("share", SHARES)
def test_twenty_in_programs_of_their_own(place, share):
    """`make test` runs three of them: most need seconds for imports before they refuse."""
    chosen = list(enumerate(REFUSED))[:: round(1 / share)]
    with ThreadPoolExecutor(2) as pool:
        for ended in pool.map(lambda numbered: _in_a_program(place, numbered), chosen):
            require_refusal(ended)
    assert not (place.work / "executed").exists()


def _in_a_program(place: Place, numbered: tuple[int, tuple[str, str]]) -> Ended:
    """Run a command; `evaluate` and `report` get a run with a torn manifest and a torn log."""
    number, (command, text) = numbered
    target: Any = place.root / f"refused-{number}"
    if command in ("evaluate", "report"):
        shutil.copytree(place.good_run, target)
        (newest(target) / "manifest.json").write_text("{")
        (target / "metrics.jsonl").write_text("{\n")
    elif command == "describe":
        target = text
    else:
        target.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "fedrl_ray", command, str(target)],
        capture_output=True, text=True, timeout=120, check=False, cwd=place.work,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)
