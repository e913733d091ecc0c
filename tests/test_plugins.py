"""One contract over folders: every plug-in and every experiment file is loaded, built, stepped.

Nothing is listed here: a new file in a plug-in folder or in tune_configs/ is tested by being
there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from pydantic import BaseModel

from algorithms.settings import Settings
from fedrl_ray.config import plugins
from fedrl_ray.config.loading import from_dict, load
from fedrl_ray.federation.resume_rules import changed_keys
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import EVALUATIONS, METRICS, read_rows
from fedrl_ray.sweeps.validation import require_sweep
from fedrl_ray.vector_envs.family import EnvFamily
from tests.support.presets import AGENTS, OWN_ENVIRONMENTS, PRESETS, ROUNDS, small, unscored
from tests.support.runs import digests, train
from tests.support.vector_envs import CONFIGS

PLUGINS = [(kind, name) for kind in plugins.KINDS for name in plugins.names(kind)]
BASELINE = {"fedrq": "qavg", "fedrdqn": "dqnavg", "fedrddpg": "ddpgavg"}
"""What a learner is called at omega 0."""


# -- plug-ins ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_a_plug_in_documents_itself(kind: str, name: str) -> None:
    cls = plugins.load(kind, name)
    assert inspect.getdoc(cls) and inspect.getdoc(inspect.getmodule(cls))
    config = cls.Config(**CONFIGS.get(name, {"count": 1} if name == "uniform" else {}))
    assert isinstance(config, Settings)
    undocumented = [key for key, text in documented_keys(cls.Config) if not text]
    assert not undocumented


def documented_keys(model: type[BaseModel]) -> Iterator[tuple[str, str | None]]:
    """Yield every key of a schema and of the schemas inside it, with its description."""
    for name, field in model.model_fields.items():
        yield name, field.description
        for inner in schemas_in(field.annotation):
            yield from documented_keys(inner)


def schemas_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from schemas_in(argument)


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_an_exemption_from_a_law_has_a_reason(kind: str, name: str) -> None:
    exemptions = plugins.load(kind, name).exemptions
    assert isinstance(exemptions, Mapping)
    assert all(isinstance(law, str) and reason.strip() for law, reason in exemptions.items())


def test_every_concrete_family_is_a_plug_in_of_its_own_file() -> None:
    families = {plugins.load("environments", n) for n in plugins.names("environments")}

    def concrete(cls: type[EnvFamily]) -> Iterator[type[EnvFamily]]:
        for inner in cls.__subclasses__():
            yield from concrete(inner)
            if inner.__module__.startswith("fedrl_ray.") and not inspect.isabstract(inner):
                yield inner

    assert {c for c in concrete(EnvFamily) if c.__subclasses__() == []} == families


# -- experiment files --------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_reads_back_as_itself(preset: str, tmp_path: Path) -> None:
    experiment = load(PRESETS[preset])
    assert experiment.name == preset.removeprefix("sweep-")
    experiment = experiment.model_copy(update={"sweep": None})  # config.yaml is of one trial
    assert from_dict(experiment.to_dict()) == experiment
    copy = tmp_path / "config.yaml"
    copy.write_text(yaml.safe_dump(experiment.to_dict()))
    assert load(copy) == experiment
    assert PRESETS[preset].read_text().startswith("# ")


@pytest.mark.parametrize("preset", [p for p in PRESETS if p.startswith("sweep-")])
def test_a_sweep_preset_compares_its_omegas_with_the_baseline(preset: str) -> None:
    experiment = load(PRESETS[preset])
    sweep = require_sweep(experiment)
    assert 0.0 in sweep.search["learner.omega"] and sweep.seeds >= 3


@pytest.mark.parametrize("preset", [p for p in PRESETS if not p.startswith("sweep-")])
def test_a_preset_is_one_of_a_pair(preset: str) -> None:
    learner = load(PRESETS[preset]).learner
    if learner.name not in BASELINE:
        assert learner.settings.omega == 0  # it is a baseline itself
        return
    robust = preset.replace(f"-{BASELINE[learner.name]}", f"-{learner.name}")
    baseline = robust.replace(f"-{learner.name}", f"-{BASELINE[learner.name]}")
    assert preset in (robust, baseline) and robust != baseline
    mine, other = (load(PRESETS[name]) for name in (robust, baseline))
    assert changed_keys(mine.to_dict(), other.to_dict()) == ["learner.omega", "name"]
    assert mine.learner.settings.omega > 0 and other.learner.settings.omega == 0


@pytest.mark.parametrize("kind", ["learners", "environments"])
def test_every_plug_in_has_a_preset(kind: str) -> None:
    section = plugins.KINDS[kind].section
    used = {load(path).plugins()[section].name for path in PRESETS.values()}
    assert used == set(plugins.names(kind))


# -- the laws, on small copies -----------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_trains_and_is_scored(
    preset: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    experiment = small(preset)
    loss = "td_loss"
    if experiment.learner.name == "rllib":
        request.getfixturevalue("local_ray")
        loss = "loss"
    summary = train(experiment, tmp_path)
    assert summary["status"] == "completed" and summary["rounds"] == ROUNDS
    *_, last = read_rows(tmp_path / METRICS)
    assert np.isfinite(last["agents"][loss]).all() and len(last["agents"][loss]) == AGENTS
    (row,) = read_rows(tmp_path / EVALUATIONS)
    assert len(row["returns"]) == experiment.evaluation.grid
    assert np.isfinite([row["nominal"], row["average"], row["worst"], *row["returns"]]).all()


LAW_CASES = [p for p in PRESETS if f"-{load(PRESETS[p]).learner.name}" in p] + [*OWN_ENVIRONMENTS]
"""Every robust preset, and a user's environment resumed either way."""


@pytest.mark.parametrize("preset", LAW_CASES)
def test_packing_and_resuming_change_no_bit(preset: str, tmp_path: Path) -> None:
    same_bits_however_it_runs(preset, tmp_path)


def test_exact_fedrq_keeps_the_laws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = yaml.safe_load(PRESETS["random_mdp-fedrq"].read_text())
    data["learner"]["mode"] = "exact"
    path = tmp_path / "exact.yaml"
    path.write_text(yaml.safe_dump(data))
    monkeypatch.setitem(PRESETS, "exact", path)
    same_bits_however_it_runs("exact", tmp_path)


def same_bits_however_it_runs(preset: str, tmp_path: Path) -> None:
    """Agents together, one by one, and stopped half-way and resumed in another packing."""
    together = train(unscored(preset, agents_per_actor=AGENTS), tmp_path / "together")
    alone = unscored(preset, agents_per_actor=1)
    assert digests(train(alone, tmp_path / "alone")) == digests(together)
    stopped = Run(alone, tmp_path / "stopped")
    stopped.advance()
    stopped.close()
    resumed = Run(unscored(preset, agents_per_actor=2), tmp_path / "stopped", resume=True)
    assert resumed.driver.server.round == 1
    list(resumed)
    assert digests(resumed.finish()) == digests(together)
