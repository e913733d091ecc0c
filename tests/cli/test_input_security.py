"""Files that we read run no code and lead to no other place; files that we write hold no secret."""

from __future__ import annotations

import ast
import os
import pickle
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fedrl_ray
from fedrl_ray.dashboard.live import Live
from fedrl_ray.reports.data import read
from fedrl_ray.reports.page import render
from tests.support.malformed_place import TINY, Ended, fedrl, require_refusal
from tests.support.report_runs import write_sweep

SOURCES = sorted(
    path for name in ("fedrl_ray", "algorithms")
    for path in (Path(fedrl_ray.__file__).parents[1] / name).rglob("*.py")
)  # fmt: skip

UNSAFE = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
UNSAFE_CALLS = {"torch.load", "yaml.unsafe_load", "yaml.full_load", "np.load", "eval", "exec"}
MESSAGES = "channel.py"
"""The one file that may unpickle: messages between processes of one run, as Ray's are; no file."""
READERS_OF_PICKLES = {
    "torch.export.load": "torch_policy.py",
    "RLModule.from_checkpoint": "rl_module_policy.py",
    "load_from_zip_file": "sb3_policy.py",
}
"""Calls that may unpickle, by the one file that may hold them: it asks for `--trust-pickle`."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_code_reads_what_could_run(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            allowed = {"pickle"} if path.name == MESSAGES else set()
            assert not (UNSAFE - allowed) & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert str(node.module).split(".")[0] not in UNSAFE
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "pickle.load", f"{path}:{node.lineno}: no file is one"
            assert called not in UNSAFE_CALLS, f"{path}:{node.lineno}"
            assert READERS_OF_PICKLES.get(called, path.name) == path.name, f"{path}:{node.lineno}"
            if called == "yaml.load":
                assert "Loader=_StrictLoader" in ast.unparse(node)


class Touches:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("security")
    (root / "e.yaml").write_text(yaml.safe_dump(TINY))
    assert fedrl("train", root / "e.yaml", "--output", root / "run", "--quiet").status == 0
    return root


COMMANDS = [
    ("evaluate", "{run}"),
    ("report", "{run}", "--output", "{run}.html"),
    ("export", "{run}", "{run}-exported", "--to", "torch"),
    ("train", "{root}/e.yaml", "--output", "{run}", "--resume", "--set", "federation.steps=60"),
]


def commands(trained: Path, run: Path) -> list[Ended]:
    """Return the ends of all commands that read a run directory."""
    return [fedrl(*(part.format(run=run, root=trained) for part in c)) for c in COMMANDS]


def test_pickles_in_a_run_directory_are_not_run(trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    mark = tmp_path / "executed"
    for path in [p for p in run.rglob("*") if p.is_file()]:
        path.write_bytes(pickle.dumps(Touches(mark)))
    for ended in commands(trained, run):
        require_refusal(ended)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Touches(mark)))  # it would have shown
    assert mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "metrics.jsonl",
        "log.jsonl",
        "events",
        "checkpoints",
        ".metrics.jsonl.partial",
        "report.html",
    ],
)
def test_a_link_out_of_a_run_directory_is_refused(trained, tmp_path, name):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    there = tmp_path / "elsewhere"
    if (run / name).is_dir():
        shutil.move(run / name, there)
    else:
        there.write_text("mine")
        (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(there)
    before = {p: p.lstat().st_mtime_ns for p in (there, *there.rglob("*"))}
    for ended in commands(trained, run):
        require_refusal(ended)
        assert "a link that leaves the run directory" in ended.err
    assert {p: p.lstat().st_mtime_ns for p in (there, *there.rglob("*"))} == before


@pytest.mark.parametrize("name", [".lock", "trials.json", "trials/00000-seed=0"])
def test_a_link_in_a_sweep_is_refused(tmp_path, name):
    path = write_sweep(tmp_path / "sweep", {"learner.omega": [0.0, 0.3]}, [{"learner.omega": 0.0}])
    there = tmp_path / "elsewhere"
    if (path / name).exists():
        shutil.move(path / name, there)
    else:
        there.write_text("mine")
    (path / name).symlink_to(there)
    ended = fedrl("sweep", path / "sweep.yaml", "--output", path, "--resume")
    require_refusal(ended)
    assert "is a link" in ended.err


def test_a_trial_that_is_a_link_is_not_read(tmp_path):
    path = write_sweep(tmp_path / "sweep", {}, [{}], seeds=1)
    shutil.move(path / "trials" / "00000-seed=0", tmp_path / "elsewhere")
    (path / "trials" / "00000-seed=0").symlink_to(tmp_path / "elsewhere")
    ended = fedrl("report", path, "--output", tmp_path / "report.html")
    require_refusal(ended)
    assert "must lie inside the sweep; got a link" in ended.err


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI-sentinel",
    "RAY_AUTH_TOKEN": "token-sentinel",
    "WANDB_API_KEY": "wandb-sentinel",
}


def test_nothing_of_the_environment_is_written(trained, tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    run = tmp_path / "run"
    assert fedrl("train", trained / "e.yaml", "--output", run, "--quiet").status == 0
    assert fedrl("report", run, "--output", run / "again.html").status == 0
    files = [path for path in run.rglob("*") if path.is_file()]
    assert {"log.jsonl", "config.yaml", "again.html", "manifest.json"} <= {p.name for p in files}
    for path in files:
        content = path.read_bytes()
        for name, value in SECRETS.items():
            assert value.encode() not in content and name.encode() not in content, path


def test_a_uri_that_holds_a_password_is_refused(trained):
    output = "s3://key:sentinel@bucket/run"
    ended = fedrl("train", trained / "e.yaml", "--output", output)
    require_refusal(ended)
    assert "sentinel" not in ended.err


MARKUP = st.sampled_from(["<script>", "</script>", "<img src=x onerror=", "'", '"', "&lt;", "<!--",
                          "]]>", "{{", "javascript:", "\u2028", "a"])  # fmt: skip


@settings(max_examples=5, derandomize=True, database=None, deadline=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(words=st.lists(MARKUP, min_size=2, max_size=8))
def test_markup_of_users_is_text_in_reports_and_in_the_dashboard(tmp_path_factory, words):
    """Markup may stand in names of folders and experiments, keys, values, metrics and reasons."""
    evil = "<b>" + "".join(words)
    root = tmp_path_factory.mktemp("markup")
    trials = {1: {"status": "failed", "reason": evil, "share": 0.0}}
    path = write_sweep(root / evil.replace("/", "|"), {}, [{}], seeds=2, trials=trials)
    run = path / "trials" / "00000-seed=0"
    config = yaml.safe_load((run / "config.yaml").read_text())
    config |= {"name": evil, "environment": config["environment"] | {"id": evil, evil: evil}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    page = render(read([path]))
    assert "<b>" not in page
    assert page.count("<script") == 2 + page.count('<script type="application/json"')
    live = Live([path])
    live.refresh()
    snapshot = live.snapshot()
    assert not snapshot.problem and evil in snapshot.title
