"""The command line: bad input is one line and status 2, and the commands do as documented."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fedrl_ray.cli import main
from fedrl_ray.common.errors import RunError

BAD_KEYS = [
    ("learner.omgea=0.1", "learner.omgea: unknown key (did you mean 'omega'?)"),
    ("federtion.steps=10", "federtion: unknown key (did you mean 'federation'?)"),
    ("learner.omega=1.5", "learner.omega: must be less than or equal to 1; got 1.5"),
    ("learner.omega=.nan", "learner.omega: must be a finite number; got nan"),
    ("learner.omega=[0.1, 0.2]", "learner.omega: must be one number or 5, one per agent; got 2"),
    ("environment.perturb.pole_length=20", "pole_length: must stay within [0.05, 10] m"),
    ("environment.perturb.pole_lenth=0.5", "environment.perturb.pole_lenth: no such parameter"),
    ("federation.num_agents=0", "federation.num_agents: must be greater than or equal to 1"),
    ("federation.sync_interval=7", "federation.sync_interval: must divide federation.steps (240)"),
    ("environment.name=pendulum", "learns on discrete environments, but pendulum is continuous"),
    ("environment.name=cartpool", "no environment is called 'cartpool' (did you mean 'cartpole'?)"),
    ("learner.name=dqn", "learner.name: no learner is called 'dqn'"),
    ("evaluation.grid=1", "evaluation.grid: must be at least 2"),
    ("federation.num_agents=2000000000", "not enough memory"),
    ("learner.target_rate=0.1 learner.target_period=10", "soft) or target_period (hard); got both"),
    ("learner.reset_on_sync=true learner.learning_starts=20", "learning_starts: must be below"),
    ("learner", "--set: must be key.subkey=value; got 'learner'"),
    ("learner.omega=[", "--set learner.omega: not a YAML value"),
]


@pytest.mark.parametrize(("change", "words"), BAD_KEYS)
def test_bad_keys_are_one_line_and_status_2(fedrl, small_yaml, tmp_path, change, words):
    sets = [part for text in change.split(" learner") for part in [text]]
    sets = [sets[0], *("learner" + text for text in sets[1:])]
    arguments = [part for text in sets for part in ("--set", text)]
    status, out, err = fedrl("train", small_yaml(), *arguments, "--output", tmp_path / "run")
    assert status == 2
    assert words in err
    assert err.count("\n") == 1 and err.startswith("error: ") and not out
    assert not (tmp_path / "run").exists()


BAD_FILES = [
    (None, "no such file"),
    ("a: [1", "not YAML"),
    ("- 1\n- 2", "must be a mapping of keys; got list"),
    ("name: x\nname: y", "key 'name' is given twice"),
    ("learner: 3\nenvironment: {name: cartpole}", "learner: must be a mapping with a name; got 3"),
    ("learner: {name: fedrdqn}", "environment: must be a mapping with a name; got None"),
    ("!!python/object:os.system x", "not YAML"),
]


@pytest.mark.parametrize(("text", "words"), BAD_FILES)
def test_bad_files_are_one_line_and_status_2(fedrl, tmp_path, text, words):
    path = tmp_path / "experiment.yaml"
    if text is not None:
        path.write_text(text)
    status, _, err = fedrl("train", path, "--output", tmp_path / "run")
    assert status == 2 and words in err and err.count("\n") == 1
    assert str(path) in err


def test_a_binary_file_is_refused(fedrl, tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert fedrl("train", path)[0] == 2


def test_an_output_that_holds_another_experiment_is_refused(fedrl, small_yaml, tmp_path):
    output = tmp_path / "run"
    assert fedrl("train", small_yaml(), "--output", output, "--quiet")[0] == 0
    status, _, err = fedrl("train", small_yaml(), "--output", output)
    assert status == 2 and "already holds the experiment 'small'" in err
    other = small_yaml(learner={"omega": 0.1})
    status, _, err = fedrl("train", other, "--output", output, "--resume")
    assert status == 2 and "keys that differ: learner.omega" in err


def test_train_json_prints_the_summary_and_nothing_else(fedrl, small_yaml, tmp_path):
    status, out, err = fedrl("train", small_yaml(), "--output", tmp_path / "run", "--json")
    summary = json.loads(out)
    assert status == 0 and not err
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "completed" and summary["rounds"] == 12


def test_train_leaves_the_run_directory_that_is_promised(fedrl, small_yaml, tmp_path):
    run = tmp_path / "run"
    status, out, _ = fedrl("train", small_yaml(), "--output", run, "--quiet")
    assert status == 0
    for word in ("nominal", "average", "worst", "digest", "report"):
        assert word in out
    files = {p.name for p in run.iterdir()}
    assert files == {
        "config.yaml", "metrics.jsonl", "evaluations.jsonl", "events", "checkpoints",
        "log.jsonl", "summary.json", "report.html", ".lock",
    }  # fmt: skip
    assert not [p for p in run.rglob("*") if p.suffix in {".pkl", ".pickle", ".pt"}]


def test_evaluate_takes_another_grid(fedrl, small_yaml, tmp_path):
    run = tmp_path / "run"
    fedrl("train", small_yaml(), "--output", run, "--quiet")
    stored = json.loads((run / "summary.json").read_text())["evaluation"]
    status, out, _ = fedrl("evaluate", run, "--json")
    assert status == 0 and json.loads(out)["returns"] == stored["returns"]
    _, out, _ = fedrl("evaluate", run, "--set", "evaluation.grid=7", "--json")
    assert len(json.loads(out)["returns"]) == 7
    _, out, _ = fedrl("evaluate", run, "--set", "evaluation.perturb={gravity: 0.2}", "--json")
    assert min(json.loads(out)["dynamics"]["gravity"]) == pytest.approx(9.8 * 0.8)
    status, _, err = fedrl("evaluate", run, "--set", "learner.omega=0.1")
    assert status == 2 and "only evaluation and environment.perturb can be set" in err
    assert fedrl("evaluate", tmp_path)[0] == 2


def test_list_names_what_there_is(fedrl):
    status, out, _ = fedrl("list")
    assert status == 0
    for name in ("fedrdqn", "mean", "cartpole", "gymnasium", "cartpole-fedrdqn"):
        assert f"  {name} " in out


@pytest.mark.parametrize("name", ["fedrdqn", "cartpole", "mean", "federation", "cartpole-fedrdqn"])
def test_describe_explains_plug_ins_sections_and_presets(fedrl, name):
    status, out, _ = fedrl("describe", name)
    assert status == 0 and len(out.splitlines()) > 2


def test_describe_an_unknown_name_suggests_the_nearest(fedrl):
    status, _, err = fedrl("describe", "fedrqdn")
    assert status == 2 and "(nearest: fedrdqn, " in err and err.count("\n") == 1
    status, _, err = fedrl("describe", "cartpole-fedrqdn")
    assert status == 2 and "(nearest: cartpole-fedrdqn, " in err


def test_report_on_several_runs_is_one_offline_file(fedrl, small_yaml, tmp_path):
    for index, omega in enumerate((0.0, 0.3)):
        path = small_yaml(learner={"omega": omega})
        fedrl("train", path, "--output", tmp_path / "runs" / f"run-{index}<b>", "--quiet")
    page = tmp_path / "report.html"
    assert fedrl("report", tmp_path / "runs", "--output", page)[0] == 0
    text = page.read_text()
    assert "run-0" in text and "run-1" in text and "Return over the test grid" in text
    assert "run-0&lt;b&gt;" in text and "run-0<b>" not in text  # what users write is escaped
    assert 'src="http' not in text and "cdn.plot.ly" not in text.split("<script")[0]


def test_report_on_nothing_is_refused(fedrl, tmp_path):
    status, _, err = fedrl("report", tmp_path)
    assert status == 2 and "must be a run directory, a sweep or a folder of them" in err


def test_help_and_config_errors_import_no_torch_before_they_are_needed():
    import subprocess

    code = (
        "import sys, fedrl_ray.cli.main; sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert Path(main.__file__).exists()


MORE_BAD_KEYS = [
    ("name=../outside", "name"),
    ("name=''", "name: must match pattern"),
    ("federation.agents_per_actor=two", "federation.agents_per_actor"),
    ("learner.hidden_sizes=[a]", "learner.hidden_sizes.0: must be a valid integer"),
    ("learner.name=null", "learner.name: must be one of"),
    ("learner.learning_starts=240", "learner.learning_starts: must be below federation.steps"),
    ("evaluation.perturb.pole_lenght=0.5", "evaluation.perturb.pole_lenght: no such parameter"),
    ("evaluation.grid=1000000000000", "evaluation.grid: must be less than or equal to"),
    ("environment.perturb.pole_length={low: 2, high: 1}", "low must not exceed high"),
    ("seed=true", "seed: must be a valid integer"),
    ("learner.omega='0.3'", "learner.omega: must be a valid number"),
    ("name=" + 2000 * "[", "--set name"),
]


@pytest.mark.parametrize(("change", "words"), MORE_BAD_KEYS)
def test_more_bad_keys_are_one_line_and_status_2(fedrl, small_yaml, tmp_path, change, words):
    status, out, err = fedrl("train", small_yaml(), "--set", change, "--output", tmp_path / "run")
    assert status == 2 and words in err and err.count("\n") == 1 and not out
    assert not (tmp_path / "run").exists()


def test_merge_keys_and_anchors_share_no_object(fedrl, small_yaml, tmp_path):
    path = small_yaml()
    text = path.read_text().replace("learner:\n", "learner: &base\n")
    path.write_text(text + "\n")
    extra = "evaluation: {every: 80, grid: 3, episodes: 2, perturb: &p {pole_length: 0.5}}\n"
    anchored = "base: &b {name: mean}\naggregator: {<<: *b}\n"
    path.write_text(_without(text, "evaluation") + extra)
    assert fedrl("train", path, "--output", tmp_path / "a", "--quiet")[0] == 0
    path.write_text(text + anchored)
    status, _, err = fedrl("train", path, "--output", tmp_path / "b")
    assert status == 2 and "base: unknown key" in err  # the merge itself is understood


def _without(text: str, section: str) -> str:
    import yaml

    data = yaml.safe_load(text)
    del data[section]
    return yaml.safe_dump(data)


def test_markup_in_paths_is_printed_as_it_is(fedrl, small_yaml, tmp_path):
    output = tmp_path / "a[b]c[/d]"
    status, out, _ = fedrl("train", small_yaml(), "--output", output, "--quiet")
    assert status == 0 and "a[b]c[/d]" in out


def test_a_run_without_evaluations_has_a_report_all_the_same(fedrl, small_yaml, tmp_path):
    path = small_yaml(evaluation={"where": "none"})
    assert fedrl("train", path, "--output", tmp_path / "run", "--quiet")[0] == 0
    assert "no evaluation yet" in (tmp_path / "run" / "report.html").read_text()


CORRUPT = [
    ("metrics.jsonl", "line 2 must be JSON"),
    ("evaluations.jsonl", "line 2 must be JSON"),
]


@pytest.mark.parametrize(("name", "words"), CORRUPT)
def test_a_corrupt_log_is_refused_and_left_as_it_is(fedrl, small_yaml, tmp_path, name, words):
    run = tmp_path / "run"
    fedrl("train", small_yaml(), "--output", run, "--quiet")
    lines = (run / name).read_text().splitlines(keepends=True)
    lines[1] = "{\n"
    (run / name).write_text("".join(lines))
    for command in (["report", run], ["train", small_yaml(), "--output", run, "--resume"]):
        status, _, err = fedrl(*command)
        assert status == 2 and words in err
    assert (run / name).read_text() == "".join(lines)


@pytest.mark.parametrize("text", ["{}", "[]", "5", "{", '"x"'])
def test_a_summary_that_is_none_is_refused(fedrl, small_yaml, tmp_path, text):
    run = tmp_path / "run"
    fedrl("train", small_yaml(), "--output", run, "--quiet")
    (run / "summary.json").write_text(text)
    status, _, err = fedrl("report", run, "--output", tmp_path / "report.html")
    assert status == 2 and "summary.json" in err and err.count("\n") == 1


def test_default_outputs_count_up(fedrl, small_yaml, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(3):
        assert fedrl("train", small_yaml(), "--quiet")[0] == 0
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"small", "small-2", "small-3"}
    longer = ["--set", "federation.steps=320"]
    status, out, _ = fedrl("train", small_yaml(), *longer, "--resume", "--json")
    assert status == 0 and json.loads(out)["rounds"] == 16
    assert json.loads((tmp_path / "runs" / "small-3" / "summary.json").read_text())["rounds"] == 16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("sweep.search={learner.omgea: [0]}", "learner.omgea: unknown key (did you mean 'omega'?)"),
        ("sweep.search.learner.omega=[]", "sweep.search.learner.omega: must hold at least one"),
        ("evaluation.where=none", "sweep.metric: no evaluation gives worst"),
        ("sweep.seeds=0", "sweep.seeds: must be greater than or equal to 1"),
        ("sweep=null", "sweep: required, but missing"),
    ],
)
def test_a_bad_sweep_is_one_line_and_status_2(fedrl, small_yaml, tmp_path, change, words):
    path = small_yaml(sweep={"search": {"learner.omega": [0.0, 0.3]}})
    status, out, err = fedrl("sweep", path, "--set", change, "--output", tmp_path / "sweep")
    assert status == 2
    assert words in err
    assert err.count("\n") == 1 and err.startswith(f"error: {path}: ") and not out
    assert not (tmp_path / "sweep").exists()


def test_control_characters_in_a_failed_runs_words_are_escaped(fedrl, monkeypatch, small_yaml):
    def broken(experiment, options):
        raise RunError("the log says \x1b]0;mine\x07\nTraceback:\n  line \x9b2J")

    monkeypatch.setattr("fedrl_ray.cli.train_flow.train_run", broken)
    status, out, err = fedrl("train", small_yaml())
    assert (status, out) == (1, "")
    assert err == "error: the log says \\x1b]0;mine\\x07\nTraceback:\n  line \\x9b2J\n"
