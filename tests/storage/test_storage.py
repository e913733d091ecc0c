"""Runs behind a URI: an object store with the S3 protocol, and the file systems of fsspec."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fedrl_ray.common.errors import UserError
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import EVALUATIONS, METRICS, read_rows
from fedrl_ray.storage import checkpoints, locations
from fedrl_ray.storage.local_mirror import LocalMirror
from tests.support.runs import digests, train


@pytest.fixture(scope="module")
def bucket():
    """Yield a function from a name to a URI in a bucket of a real S3 server on this machine."""
    server_module = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="runs")
        where = f"?endpoint_override={host}%3A{port}&scheme=http&region=us-east-1"
        yield lambda name: f"s3://runs/{name}{where}"
    server.stop()


@pytest.fixture(params=["s3", "fsspec"])
def place(request, tmp_path, bucket):
    """Return a fresh URI of either kind."""
    if request.param == "s3":
        return bucket(tmp_path.name)
    return f"local://{tmp_path}/elsewhere/run"


def test_a_run_behind_a_uri_equals_one_in_a_folder_and_resumes(small, tmp_path, place):
    experiment = small(federation={"agents_per_actor": 2})
    whole = train(experiment, tmp_path / "whole")
    stopped = Run(experiment, locations.parse(place))
    for _ in range(7):  # past the checkpoint of round 4, short of that of round 8
        stopped.advance()
    stopped.close()
    resumed = Run(experiment, locations.parse(place), resume=True)
    assert resumed.driver.server.round == 4
    list(resumed)
    summary = resumed.finish()
    resumed.close()
    assert digests(summary) == digests(whole)
    locations.download(locations.parse(place), tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / "summary.json").read_text())["digest"] == whole["digest"]
    for name in (METRICS, EVALUATIONS):
        rows, expected = (read_rows(tmp_path / run / name) for run in ("copy", "whole"))
        assert [row["round"] for row in rows] == [row["round"] for row in expected]
    assert not resumed.directory.exists()  # the local mirror is gone


def test_a_run_is_not_begun_over_another(small, tmp_path, place):
    experiment = small(federation={"steps": 20})
    list(Run(experiment, locations.parse(place)))
    with pytest.raises(UserError, match="already holds the experiment 'small'") as told:
        Run(experiment, locations.parse(place))
    assert place.partition("?")[0] in str(told.value)


def test_an_edited_shard_is_refused_by_the_worker_that_reads_it(small, tmp_path, bucket):
    uri = locations.parse(bucket("edited"))
    experiment = small(federation={"steps": 20})
    run = Run(experiment, uri)
    list(run)
    digest = run.finish()["digest"]
    newest = checkpoints.existing(locations.child(uri, "checkpoints"))[-1]
    shard = next(name for name in locations.names(newest) if name.startswith("agents"))
    (tmp_path / shard).write_bytes(b"something else")
    locations.put(tmp_path, [shard], str(newest))
    with pytest.raises(UserError, match=f"{shard} is not what was written"):
        Run(experiment, uri, resume=True)
    resumed = Run(experiment, uri, resume=True, fall_back=True)
    assert resumed.driver.server.round == 0
    (report,) = resumed
    assert "passed over" in report.failures[0]
    assert resumed.finish()["digest"] == digest


def test_half_a_checkpoint_does_not_count(small, bucket):
    uri = locations.parse(bucket("half"))
    run = Run(small(federation={"steps": 40}, checkpoint={"every": 20, "keep": 5}), uri)
    list(run)
    folder = locations.child(uri, "checkpoints")
    assert [locations.name_of(p)[-1] for p in checkpoints.existing(folder)] == ["0", "1", "2"]
    locations.remove_file(str(locations.child(folder, "round_00000002", "manifest.json")))
    assert [locations.name_of(p)[-1] for p in checkpoints.existing(folder)] == ["0", "1"]


@pytest.mark.slow
def test_the_command_line_trains_into_a_bucket_and_goes_on(small_yaml, bucket):
    command = [sys.executable, "-m", "fedrl_ray", "train", str(small_yaml()), "--restartable"]
    command += ["--output", bucket("cli"), "--json"]
    results = [subprocess.run(command, capture_output=True, text=True) for _ in range(2)]
    assert [r.returncode for r in results] == [0, 0], results[0].stderr
    first, again = (json.loads(r.stdout) for r in results)
    assert first["rounds"] == 12 and digests(first) == digests(again)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3://key:secret@bucket/run", r"a password, key or token.*got 's3://...@bucket/run'"),
        ("s3://key:se/secret@bucket/run", "a password, key or token"),
        ("simplecache::s3://key:secret@bucket/run", "a password, key or token"),
        (
            "abfs://c@a.net/run?client_secret=secret",
            r"key or token.*got 'abfs://c@a.net/run\?\.\.\.",
        ),
        ("https://a.net/c?sv=1&sig=secret", "a password, key or token"),
        ("s3://bucket/run?Secret_Key=secret", "a password, key or token"),
        ("s3://b/run?endpoint_override=http://k:secret@h", "a password, key or token"),
        (
            "nowhere://bucket/run",
            "a scheme that pyarrow or fsspec knows; got 'nowhere://bucket/run'",
        ),
        ("s3fs://bucket/run", "a scheme that pyarrow or fsspec knows; got 's3fs://bucket/run'"),
        ("s3://[bucket/run", "must be a URI; got"),
        ("s3://bucket/../run", "must name one place"),
        ("s3:///", "must name one place"),
        ("file://host/run", "must have the form file:///PATH for a folder"),
    ],
)
def test_uris_that_are_refused(text, words):
    with pytest.raises(UserError, match=words) as told:
        locations.parse(text)
    assert "secret@" not in str(told.value) and "=secret" not in str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        "abfs://container@account.dfs.core.windows.net/runs/a",  # adlfs is not installed
        "abfss://container@account.dfs.core.windows.net/runs/a?credential_kind=default",
        "hdfs://user@host:8020/runs/a",  # nor is Java
        "gcs://bucket/runs/a",
        "s3://nobody-has-this-bucket/runs/a?endpoint_override=192.0.2.1%3A9",
    ],
)
def test_a_uri_is_taken_without_asking_its_storage(text):
    assert locations.parse(text) == text
    assert locations.name_of(locations.parse(text)) == "a"


def test_a_file_uri_is_a_folder():
    assert locations.parse("file:///data/run") == Path("/data/run")
    assert locations.parse("runs/a") == Path("runs/a")


def test_children_keep_the_query():
    assert locations.child("s3://b/run?scheme=http", "a", "c") == "s3://b/run/a/c?scheme=http"
    assert locations.child("local:///tmp/run", "a") == "local:///tmp/run/a"
    assert locations.name_of("s3://b/run?scheme=http") == "run"


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, bucket):
    with pytest.raises(UserError, match="must lie inside its folder"):
        locations.get(bucket("x"), ["../escaped"], tmp_path / "in")


def test_what_went_here_goes_there_and_what_stayed_is_left_alone(tmp_path):
    there = tmp_path / "there"
    uri = f"local://{there}"
    first = LocalMirror(uri)
    for name in ("summary.json", "metrics.jsonl"):
        (first.directory / name).write_text("{}\n")
    first.publish()
    first.close()
    before = (there / "metrics.jsonl").stat().st_mtime_ns
    (there / "checkpoints").mkdir()
    second = LocalMirror(uri)
    (second.directory / "summary.json").unlink()
    (second.directory / "log.jsonl").write_text("{}\n")
    second.publish()
    second.close()
    assert {p.name for p in there.iterdir()} == {"metrics.jsonl", "log.jsonl", "checkpoints"}
    assert (there / "metrics.jsonl").stat().st_mtime_ns == before


def test_a_resumed_run_takes_its_summary_out_of_storage(small, place):
    uri = locations.parse(place)
    run = Run(small(federation={"steps": 40}), uri)
    run.finish()
    run.close()
    assert locations.exists(locations.child(uri, "summary.json"))
    Run(small(federation={"steps": 40}), uri, resume=True).close()
    assert not locations.exists(locations.child(uri, "summary.json"))


def test_shards_without_a_manifest_are_no_checkpoint_of_the_round(small, tmp_path):
    uri = f"local://{tmp_path}/run"
    run = Run(small(), uri)
    for _ in range(3):  # the next checkpoint is due at round 4
        run.advance()
    half = tmp_path / "run" / "checkpoints" / "round_00000003"
    half.mkdir()
    (half / "agents_0-4.safetensors").write_bytes(b"half")
    assert run.finish()["rounds"] == 3
    run.close()
    assert checkpoints.verify(f"{uri}/checkpoints/round_00000003").round == 3


def test_errors_name_the_uri_and_not_the_copy_of_it(small, tmp_path):
    uri = f"local://{tmp_path}/run"
    Run(small(federation={"steps": 20}), uri).close()
    (tmp_path / "run" / METRICS).write_text("no row\n")
    with pytest.raises(UserError, match=rf"^{uri}/{METRICS}: line 1 must be JSON"):
        Run(small(federation={"steps": 20}), uri, resume=True)


def test_copies_of_drivers_that_were_killed_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    kept, mine = LocalMirror(f"local://{tmp_path}/a"), tmp_path / "tmp" / "mine"
    left, fresh = (tmp_path / "tmp" / f"fedrl-ray-run-{name}" for name in ("left", "fresh"))
    for folder in (left, fresh, mine):
        folder.mkdir()
    for folder in (left, mine, kept.directory.parent):
        os.utime(folder, (0, 0))
    LocalMirror(f"local://{tmp_path}/b").close()
    assert not left.exists()
    assert fresh.exists() and mine.exists() and kept.directory.exists()
    kept.close()


def test_a_bucket_alone_is_no_output(small_yaml):
    command = [sys.executable, "-m", "fedrl_ray", "train", str(small_yaml())]
    result = subprocess.run(
        [*command, "--output", "s3://bucket"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == "error: --output: must name a folder in the bucket; got 's3://bucket'\n"


def test_storage_that_cannot_be_made_or_written_is_refused(tmp_path):
    with pytest.raises(UserError, match="no file system for 'github://a/b'"):
        locations.exists("github://a/b")
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match="can be read but not written"):
        locations.put(tmp_path, ["a"], "http://127.0.0.1:9/run")
