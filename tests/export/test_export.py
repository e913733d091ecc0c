"""Exports act as the trained policy and describe themselves; a failed export leaves nothing."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt

from algorithms.policies import TabularPolicy
from algorithms.types import Spec
from fedrl_ray.agents.evaluation import Act
from fedrl_ray.analysis.statistics import interval
from fedrl_ray.common.errors import RunError, printable
from fedrl_ray.config import plugins
from fedrl_ray.export import export_run, programs
from fedrl_ray.export.agreement import TOLERANCE, require_agreement
from fedrl_ray.export.card_text import card_text
from fedrl_ray.runs import run_directory
from fedrl_ray.storage import checkpoints
from fedrl_ray.storage.manifests import read_manifest
from tests.support.export_runs import (
    FORMATS,
    KINDS,
    observations,
    require_same_actions,
    trained_run,
)
from tests.support.malformed_place import fedrl, require_refusal

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return {kind: trained_run(root / kind, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory):
    """Return exports of every kind in every format, with the printed model cards."""
    root = tmp_path_factory.mktemp("exports")
    found = {}
    for kind, run in runs.items():
        for to in FORMATS:
            ended = fedrl("export", run, root / f"{kind}-{to}", "--to", to, "--json")
            assert ended.status == 0 and not ended.err, ended
            found[kind, to] = root / f"{kind}-{to}", json.loads(ended.out)
    return found


def blocks(readme: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", readme, re.DOTALL)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_code_in_the_readme_loads_the_trained_policy(runs, exports, kind, to):
    """The block runs as printed, and on other observations in several batch sizes."""
    folder, _ = exports[kind, to]
    (block,) = blocks((folder / "README.md").read_text())
    for rows in (1, 200):
        obs = observations(kind, rows)
        other = re.sub(r"^obs = .*$", "obs = given", block, flags=re.MULTILINE)
        given = obs if to == "onnx" else _tensor(obs)
        names: dict[str, Any] = {"given": given}
        with contextlib.chdir(folder):
            exec(compile(block, "README.md", "exec"), {})
            exec(compile(other, "README.md", "exec"), names)
        require_same_actions(runs[kind], kind, obs, _numpy(names["action"]))


def _tensor(obs: Any) -> Any:
    return torch.from_numpy(obs)


def _numpy(action: Any) -> Any:
    return action if isinstance(action, np.ndarray) else action.detach().numpy()


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_evaluating_an_export_is_evaluating_the_run(runs, exports, kind, to):
    trust = [] if to == "onnx" else ["--trust-pickle"]
    folder, _ = exports[kind, to]
    config = runs[kind] / "config.yaml"
    ended = fedrl("evaluate", folder, "--config", config, "--json", *trust)
    assert ended.status == 0 and not ended.err, ended
    got, wanted = json.loads(ended.out), json.loads(fedrl("evaluate", runs[kind], "--json").out)
    assert got.keys() == wanted.keys() and got["dynamics"] == wanted["dynamics"]
    if kind == "tabular":
        assert got == wanted
    else:  # roundings differ, and episodes may diverge at a near-tie
        alike = np.isclose(got["episode_returns"], wanted["episode_returns"], rtol=1e-2)
        assert alike.mean() > 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_says_what_the_run_was(runs, exports, kind):
    run = runs[kind]
    row = run_directory.read_rows(run / "evaluations.jsonl")[-1]
    manifest = read_manifest(run_directory.newest_checkpoint(run))
    for to in FORMATS:
        folder, card = exports[kind, to]
        assert json.loads((folder / "model_card.json").read_text()) == card
        assert card["digest"] == manifest.digest
        assert card["federation"] == {
            "num_agents": 2, "sync_interval": 20, "steps": 80, "of_steps": 80,
        }  # fmt: skip
        assert card["environment"]["kind"] == kind
        assert card["agreement"]["observations"] >= 1000
        for figure in ("average", "worst"):
            wanted = interval(np.array([row["episode_returns"]]), figure)
            assert card["returns"][figure] == wanted._asdict()
        text = (folder / "README.md").read_text()
        assert card["digest"] in text and f"{row['worst']:.1f}" in text


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_machine_is_in_an_export(runs, exports, kind, to):
    folder, _ = exports[kind, to]
    content = folder.parent / f"{kind}-{to}-unpacked"
    shutil.copytree(folder, content)
    for archive in content.glob("*.pt2"):
        shutil.unpack_archive(archive, content / "pt2", "zip")
    for path in content.rglob("*"):
        if path.is_file():
            found = path.read_bytes()
            for where in (ROOT, Path.home(), runs[kind].parent, folder.parent, "site-packages"):
                assert str(where).encode() not in found, f"{path} names {where}"


def test_an_export_that_acts_otherwise_is_not_left_behind(runs, tmp_path, monkeypatch):
    write = programs.write_torch

    def write_another(path, policy, spec, actions):
        policy.pi[-1].bias.data += 0.01
        write(path, policy, spec, actions)
        policy.pi[-1].bias.data -= 0.01

    monkeypatch.setattr(programs, "write_torch", write_another)
    ended = fedrl("export", runs["continuous"], tmp_path / "out", "--to", "torch")
    require_refusal(ended)
    assert ended.status == 1 and "differs from the trained one" in ended.err
    assert not list(tmp_path.iterdir())


class OneScore(torch.nn.Module):
    """A policy of two actions: the first scores the observed number, the second 0."""

    def scores(self, obs):
        return torch.cat([obs, torch.zeros_like(obs)], dim=1)


def acts(*actions: int) -> Act:
    return lambda obs: np.array(actions)


@pytest.mark.parametrize(("gap", "near_ties"), [(0.5 * TOLERANCE, 1), (2 * TOLERANCE, None)])
def test_actions_that_score_alike_are_near_ties_and_others_are_not(gap, near_ties):
    spec = Spec(obs_size=1, num_actions=2, max_episode_steps=1)
    obs = np.array([[gap], [1.0], [-1.0]])
    both = acts(0, 0, 1), acts(1, 0, 1)
    if near_ties is None:
        with pytest.raises(RunError, match="on 1 of 3 observations"):
            require_agreement(*both, OneScore(), obs, spec)
    else:
        found = require_agreement(*both, OneScore(), obs, spec)
        assert (found.observations, found.equal, found.near_ties) == (3, 2, 1)


def test_a_table_must_have_equal_actions():
    spec = Spec(obs_size=1, num_states=2, num_actions=2, max_episode_steps=1)
    table = TabularPolicy.of(np.zeros((2, 2)))
    with pytest.raises(RunError, match="on 1 of 2 observations"):
        require_agreement(acts(0, 0), acts(0, 1), table, np.arange(2), spec)


def test_a_checkpoint_is_chosen_by_its_round_and_scored_where_the_log_has_no_row(runs, tmp_path):
    folder = runs["discrete"] / "checkpoints"
    older = checkpoints.existing(folder)[0]
    number = str(read_manifest(older).round)
    rows = run_directory.read_rows(runs["discrete"] / "evaluations.jsonl")
    assert int(number) not in {row["round"] for row in rows}
    export_run = ["export", runs["discrete"], tmp_path / "out", "--to", "torch", "--json"]
    ended = fedrl(*export_run, "--checkpoint", number)
    assert ended.status == 0, ended
    card = json.loads(ended.out)
    assert card["digest"] == read_manifest(older).digest
    assert card["federation"]["steps"] == int(number) * 20
    assert card["returns"]["average"]["estimate"] > 0


def test_a_run_that_nobody_scored_is_exported_without_returns(tmp_path):
    run = trained_run(tmp_path / "run", "tabular", evaluation={"where": "none"})
    ended = fedrl("export", run, tmp_path / "out", "--to", "torch", "--json")
    assert json.loads(ended.out)["returns"] is None
    assert "was not evaluated." in (tmp_path / "out" / "README.md").read_text()


def test_a_run_that_its_agents_scored_has_returns_without_nominal(tmp_path):
    run = trained_run(tmp_path / "run", "tabular", evaluation={"where": "agents"})
    ended = fedrl("export", run, tmp_path / "out", "--to", "torch", "--json")
    returns = json.loads(ended.out)["returns"]
    assert returns["environments"] == 2 and returns["nominal"]["estimate"] is None
    assert "agents' own environments" in (tmp_path / "out" / "README.md").read_text()


def test_mistakes_are_one_line(runs, tmp_path):
    run, taken = runs["tabular"], tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    for arguments, words in [
        ((tmp_path / "none", tmp_path / "out", "--to", "onnx"), "not a run directory"),
        ((run, taken, "--to", "onnx"), "exists already"),
        ((run, taken / "file", "--to", "onnx"), "exists already"),
        ((run, tmp_path / "out", "--to", "onnx", "--checkpoint", "99"), "--checkpoint: must be"),
        ((run, taken / "file" / "out", "--to", "torch"), "Not a directory"),
    ]:
        ended = fedrl("export", *arguments)
        require_refusal(ended)
        assert words in ended.err, ended
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "taken"]


@pytest.mark.parametrize("to", FORMATS)
def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(runs, tmp_path, to):
    """A limit on the size of files has the same effect as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        ended = fedrl("export", runs["discrete"], tmp_path / "out", "--to", to)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    require_refusal(ended)
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_missing_is_named(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    ended = fedrl("export", runs["tabular"], tmp_path / "out", "--to", "onnx")
    require_refusal(ended)
    assert "pip install 'fedrl-ray[export]'" in ended.err and not list(tmp_path.iterdir())


def test_every_learner_can_be_exported():
    for name in plugins.names("learners"):
        assert callable(plugins.load("learners", name).greedy_policy)


def test_an_empty_folder_is_filled_and_leftovers_of_a_killed_export_are_removed(runs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "policy.onnx").touch()
    assert fedrl("export", runs["tabular"], tmp_path / "out", "--to", "torch").status == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    found = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert found == ["README.md", "model_card.json", "policy.pt2"]


HOSTILE = [
    "<script>alert(1)</script>", "a|b", "**bold**", "[x](http://evil.example)", "`code`",
    "![x](y.png)", "a\nb", "# head", "www.evil.example", "https://evil.example", "a@b.example",
    "<!-- x -->", "&lt;", "\x1b[31m", "~~x~~", "$x$", "\\", "_a_ *b*", "| --- |", "<a href=x>",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_users_text_is_no_markup_in_the_card(exports, text):
    card = json.loads(json.dumps(exports["continuous", "torch"][1]))
    card["name"] = card["learner"]["name"] = text
    card["environment"] |= {"id": text, "factory": text, "perturb": {text: 0.3}}
    plain = json.loads(json.dumps(card).replace(json.dumps(text), '"plain"'))
    tokens, wanted = (_tokens(card_text(c)) for c in (card, plain))
    assert [t.type for t in tokens] == [t.type for t in wanted]
    heading = next(t for t in tokens if t.type == "inline")
    assert "".join(t.content for t in heading.children) == printable(text)


def _tokens(text: str) -> list[Any]:
    """Return Markdown tokens, with every extension of GitHub that could change text."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found = []
    for token in parser.parse(text):
        found += [token, *(token.children or ())]
    return found


def test_killed_between_writing_and_renaming_nothing_counts(runs, tmp_path, monkeypatch):
    def stop(*arguments, **keys):
        raise KeyboardInterrupt

    monkeypatch.setattr(export_run, "model_card", stop)
    with pytest.raises(KeyboardInterrupt):
        export_run.export_run(runs["tabular"], tmp_path / "out", to="torch", checkpoint=None)
    assert not list(tmp_path.iterdir())
