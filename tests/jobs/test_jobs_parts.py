"""The parts of jobs: wheel, working directory, addresses, tokens, packed directories."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from fedrl_ray.common.errors import RunError, UserError
from fedrl_ray.config import loading
from fedrl_ray.jobs import pack, server, submission, versions, wheel, workdir
from fedrl_ray.jobs.fetch import Reader, unpack
from fedrl_ray.ray_cluster import tokens
from tests.support.small import SMALL, merged


def wanted(**changes) -> submission.Submission:
    defaults = {
        "config": Path("small.yaml"), "overrides": [], "storage": "/store", "sweep": False,
        "image": False, "job_id": None, "include": [],
    }  # fmt: skip
    return submission.Submission(**defaults | changes)


def test_the_wheel_installs_without_requirements_and_holds_this_very_code(tmp_path):
    compiled = Path(wheel.__file__).parent / "__pycache__" / "kernels.nbi"
    compiled.parent.mkdir(exist_ok=True)
    compiled.touch()  # as Numba leaves it
    path = wheel.build(tmp_path)
    compiled.unlink()
    again = wheel.build(_new(tmp_path / "again"))  # Ray uploads a name once
    assert again.name == path.name and again.read_bytes() == path.read_bytes()
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", f"--target={target}"]
    subprocess.run([*pip, str(path)], check=True)
    assert {p.name for p in target.iterdir() if not p.name.endswith(".dist-info")} == set(
        wheel.PACKAGES
    )
    here = Path(tokens.__file__)
    assert (target / "fedrl_ray" / "ray_cluster" / "tokens.py").read_bytes() == here.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert not [name for name in names if "__pycache__" in name]
        assert "fedrl_ray/tune_configs/cartpole-fedrdqn.yaml" in names
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        assert b"Requires-Dist" not in archive.read(metadata)


def test_the_working_directory_reads_back_as_the_same_experiment(small_yaml, tmp_path):
    search = {"learner.omega": {"uniform": [0.0, 0.5]}}
    experiment = loading.load(small_yaml(sweep={"search": search, "samples": 3}))
    folder = tmp_path / "job"
    folder.mkdir()
    assert workdir.fill(folder, experiment, []) == []
    assert loading.load(folder / workdir.EXPERIMENT) == experiment


@pytest.fixture
def users(tmp_path, monkeypatch):
    """A user's package that imports a module beside it, and a module that nobody needs."""
    root = tmp_path / "mine"
    (root / "fleet").mkdir(parents=True)
    (root / "fleet" / "__init__.py").touch()
    (root / "fleet" / "table.csv").touch()
    (root / "fleet" / "robots.py").write_text(
        "import time, gymnasium, gauges\ndef make(): return gymnasium.make('CartPole-v1')\n"
    )
    (root / "gauges.py").touch()
    (root / "other.py").touch()
    monkeypatch.syspath_prepend(root)
    environment = {"name": "gymnasium", "factory": "fleet.robots:make", "max_episode_steps": 50}
    return root, loading.from_dict(
        merged(SMALL, {"environment": None}) | {"environment": environment}
    )


def test_a_users_modules_go_along_with_what_they_import_beside_them(users, tmp_path):
    root, experiment = users
    folder = tmp_path / "job"
    folder.mkdir()
    assert workdir.fill(folder, experiment, [root / "other.py"]) == [
        "fleet",
        "gauges.py",
        "other.py",
    ]
    assert {p.name for p in (folder / "fleet").iterdir()} >= {"robots.py", "table.csv"}
    with pytest.raises(UserError, match=r"--include .*nothing: no such file"):
        workdir.fill(_new(tmp_path / "a"), experiment, [root / "nothing"])
    with pytest.raises(UserError, match=r"already has 'gauges\.py'"):
        workdir.fill(_new(tmp_path / "b"), experiment, [_new(root / "x") / ".." / "gauges.py"])


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_an_installed_environment_is_the_clusters_to_have(small, tmp_path):
    data = small().to_dict()
    data["environment"] = {"name": "gymnasium", "id": "gymnasium.envs.registration:CartPole-v1"}
    experiment = loading.from_dict(data)
    assert workdir.user_module(experiment) == "gymnasium.envs.registration"
    assert workdir.fill(_new(tmp_path / "job"), experiment, []) == []


def test_results_go_to_the_experiments_name_below_storage(small):
    experiment = small(name="a b")
    assert submission.output_of(experiment, wanted()) == "/store/a b"
    assert submission.output_of(experiment, wanted(sweep=True)) == "/store/sweep-a b"
    assert submission.output_of(experiment, wanted(storage="file:///x/")) == "/x/a b"
    assert submission.output_of(experiment, wanted(storage="/x/../y//z")) == "/y/z/a b"
    azure = "abfs://container@account.dfs.core.windows.net/runs"  # what the nodes have, not we
    assert submission.output_of(experiment, wanted(storage=azure)) == f"{azure}/a b"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"storage": "runs"}, "--storage: must be an absolute path that every node mounts"),
        ({"storage": "s3://key:hunter2@bucket/x"}, "must not hold a password"),
        ({"storage": "memory://x", "sweep": True}, "must be a folder that every node mounts"),
    ],
)
def test_a_storage_that_nodes_cannot_share_or_that_tells_a_secret_is_refused(small, changes, words):
    with pytest.raises(UserError, match=words) as refusal:
        submission.output_of(small(), wanted(**changes))
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("job_id", ["", "a/b", "..", "a b", "x" * 101])
def test_a_job_id_that_no_url_holds_is_refused(small, job_id):
    with pytest.raises(UserError, match="--id: must be at most 100 letters"):
        submission.submit(None, small(), wanted(job_id=job_id))  # before it asks the cluster


def test_the_address_is_given_or_as_for_rays_own_commands(monkeypatch):
    for variable in server.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match="--address: required"):
        server.find_address(None)
    monkeypatch.setenv("RAY_ADDRESS", "http://b:8265")
    assert server.find_address(None) == "http://b:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://a/ray/")
    assert server.find_address(None) == "https://a/ray"
    assert server.find_address("http://c:1") == "http://c:1"


@pytest.mark.parametrize("address", ["", "head:8265", "ray://h:1", "http://", "http://h:99999"])
def test_an_address_that_is_no_job_server_is_refused(address):
    with pytest.raises(UserError, match="--address: must be the URL of the head's job server"):
        server.find_address(address)
    with pytest.raises(UserError, match="must hold no user name or password") as refusal:
        server.find_address("http://me:secret@h:8265")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("[::1]", True), ("localhost", True),
        ("::1%lo", True), ("0.0.0.0", False), ("10.0.0.1", False), ("head", False),
        ("127.0.0.1.example.com", False), ("localhost.example.com", False), ("", False),
    ],
)  # fmt: skip
def test_loopback_is_what_stays_on_this_machine(host, near):
    assert tokens.is_loopback(host) is near


def test_a_ray_that_knows_no_tokens_is_refused():
    tokens.require_ray("2.52.0")
    tokens.require_ray("2.60.0")
    with pytest.raises(UserError, match=r"must be 2\.52 or later.*it is 2\.51\.1 there"):
        tokens.require_ray("2.51.1", where="there")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home of a user without a token."""
    for variable in (tokens.MODE, tokens.TOKEN, tokens.TOKEN_PATH, tokens.ALLOW_OPEN):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_token_is_found_where_ray_looks_for_it(home, monkeypatch):
    assert not tokens.has_token()
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(" \n")
    assert not tokens.has_token()
    (home / ".ray" / "auth_token").write_text("abc")
    assert tokens.has_token()
    monkeypatch.setenv(tokens.TOKEN_PATH, str(home / "none"))
    with pytest.raises(UserError, match=r"RAY_AUTH_TOKEN_PATH: .*none: no such file"):
        tokens.has_token()
    monkeypatch.setenv(tokens.TOKEN, "abc")
    assert tokens.has_token()


def test_the_file_that_ray_writes_for_all_is_closed_and_another_is_remarked_on(home, monkeypatch):
    path = home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("abc")
    path.chmod(0o644)
    assert tokens.protect_token_file() is None and path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    monkeypatch.setenv(tokens.TOKEN_PATH, str(path))
    assert "others on this machine can read the token" in str(tokens.protect_token_file())
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_cluster_is_not_joined_without_a_token(home, monkeypatch):
    for address in ("192.0.2.1:6379", "auto"):
        with pytest.raises(UserError, match=f"RAY_ADDRESS {address}: other machines can reach"):
            tokens.check_cluster(address)
    monkeypatch.setenv(tokens.TOKEN, "abc")
    monkeypatch.setenv(tokens.MODE, "disabled")
    with pytest.raises(UserError, match="RAY_AUTH_MODE switches the token off here"):
        tokens.check_cluster("192.0.2.1:6379")
    monkeypatch.setenv(tokens.ALLOW_OPEN, "1")
    tokens.check_cluster("192.0.2.1:6379")


def test_a_cluster_on_loopback_is_judged_by_where_its_nodes_are(home, monkeypatch):
    answers = {"127.0.0.1:1": "open", "127.0.0.1:2": "closed", "127.0.0.1:3": "ours"}

    def probe(command, **_):
        return subprocess.CompletedProcess(command, 0, stdout=answers[command[-1]])

    monkeypatch.setattr(tokens.subprocess, "run", probe)
    tokens.check_cluster("127.0.0.1:1")
    tokens.check_joined("127.0.0.1:1", ["127.0.0.1", "127.0.0.2"])
    for address in ("127.0.0.1:1", "localhost:1"):
        with pytest.raises(UserError, match="other machines can reach this cluster"):
            tokens.check_joined(address, ["127.0.0.1", "192.0.2.1"])
    with pytest.raises(UserError, match="asks for a token, and there is no token here"):
        tokens.check_cluster("127.0.0.1:2")
    monkeypatch.setenv(tokens.TOKEN, "a" * 32)
    with pytest.raises(UserError, match="this cluster asks for no token"):
        tokens.check_joined("127.0.0.1:1", ["192.0.2.1"])
    with pytest.raises(UserError, match="is not this cluster's"):
        tokens.check_joined("127.0.0.1:2", ["192.0.2.1"])
    tokens.check_joined("127.0.0.1:3", ["192.0.2.1"])
    monkeypatch.setenv(tokens.ALLOW_OPEN, "1")
    tokens.check_joined("127.0.0.1:1", ["192.0.2.1"])


def test_nothing_secret_goes_into_a_jobs_environment(home, monkeypatch, tmp_path):
    monkeypatch.setenv(tokens.TOKEN, "a-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    known = submission.environment(tmp_path, image=True)
    assert set(known) == {"env_vars"}
    assert set(known["env_vars"]) == {versions.SUBMITTED_FROM, "RAY_JOB_STOP_WAIT_TIME_S"}
    assert "a-secret" not in json.dumps(known)


def test_a_cluster_that_lacks_a_package_is_told_in_one_line(monkeypatch, capsys):
    origin = json.loads(versions.submitted_from())
    assert any(r.startswith("torch") for r in origin["requirements"])
    monkeypatch.setenv(versions.SUBMITTED_FROM, json.dumps(origin))
    versions.on_arrival()
    assert capsys.readouterr().err == ""
    origin["versions"]["torch"] = "0.1"
    monkeypatch.setenv(versions.SUBMITTED_FROM, json.dumps(origin))
    versions.on_arrival()
    assert f"torch {versions.here()['torch']} here, 0.1 there" in capsys.readouterr().err
    versions.require_ray("2.60.0")
    with pytest.raises(UserError, match=r"the cluster's Ray must be .*it is 2\.99\.0"):
        versions.require_ray("2.99.0")
    origin["requirements"] += ["no-such-package>=1", "numpy>=1000"]
    monkeypatch.setenv(versions.SUBMITTED_FROM, json.dumps(origin))
    with pytest.raises(RunError, match=r"lacks no-such-package, numpy>=1000 \(it has "):
        versions.on_arrival()
    result = subprocess.run(
        [sys.executable, "-m", "fedrl_ray", "list"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and not result.stdout


@pytest.fixture
def packed(tmp_path):
    """A directory of ours, and the log of a job that packed it."""
    folder = tmp_path / "run"
    (folder / "checkpoints" / "round_1").mkdir(parents=True)
    (folder / "tune").mkdir()
    (folder / "tune" / "state.pkl").touch()
    (folder / "checkpoints" / "round_1" / "shard").write_bytes(os.urandom(3 * pack.LINE))
    (folder / "config.yaml").write_text("name: x\n")
    (folder / "link").symlink_to("/etc/passwd")
    sink = io.StringIO()
    pack.pack(folder, sink, checkpoints=True)
    return folder, f"Runtime env is setting up.\n{sink.getvalue()}"


def read(text: str, step: int = 1000) -> io.BytesIO:
    archive = io.BytesIO()
    reader = Reader(archive)
    for start in range(0, len(text), step):
        reader.take(text[start : start + step])
    reader.require_complete()
    archive.seek(0)
    return archive


def test_a_packed_directory_comes_back_without_links_and_pickles(packed, tmp_path):
    folder, text = packed
    unpack(read(text), tmp_path / "out")
    shard = Path("checkpoints", "round_1", "shard")
    names = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*")
             if p.is_file()}  # fmt: skip
    assert names == {"config.yaml", str(shard)}
    assert (tmp_path / "out" / shard).read_bytes() == (folder / shard).read_bytes()
    without = io.StringIO()
    pack.pack(folder, without, checkpoints=False)
    unpack(read(without.getvalue()), tmp_path / "small")
    assert [p.name for p in (tmp_path / "small").iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("damage", ["cut", "a line lost", "a line changed", "no base64", "nothing"])
def test_a_packed_directory_that_is_torn_is_refused(packed, damage):
    lines = packed[1].splitlines(keepends=True)
    begin = lines.index(f"{pack.BEGIN}\n") + 1
    if damage == "cut":
        lines = lines[:-1]
    elif damage == "a line lost":
        del lines[begin]
    elif damage == "a line changed":
        lines[begin] = lines[begin].replace("A", "B")
    elif damage == "no base64":
        lines[begin] = "a warning in between!\n"
    else:
        lines = ["error: /x: does not exist yet\n"]
    words = "does not exist yet" if damage == "nothing" else "damaged|sent no directory"
    with pytest.raises(RunError, match=words):
        read("".join(lines))


@pytest.mark.parametrize("kind", ["outside", "absolute", "symlink", "hardlink", "device"])
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path, kind):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as writer:
        name = {"outside": "../escaped", "absolute": str(tmp_path / "escaped")}.get(kind, "x")
        member = tarfile.TarInfo(name)
        if kind in ("symlink", "hardlink", "device"):
            member.type = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE,
                           "device": tarfile.CHRTYPE}[kind]  # fmt: skip
            member.linkname = "../escaped"
        member.size = 0 if member.type != tarfile.REGTYPE else 3
        writer.addfile(member, io.BytesIO(b"abc"))
    archive.seek(0)
    folder = _new(tmp_path / "out")
    try:
        unpack(archive, folder)
    except RunError:
        pass
    else:
        assert kind == "absolute"  # the filter takes the leading slash off
    assert not (tmp_path / "escaped").exists()


def test_a_packed_directory_that_is_too_large_is_refused(packed, monkeypatch):
    monkeypatch.setattr(pack, "MAX_BYTES", 1000)
    with pytest.raises(RunError, match="--no-checkpoints, or from storage"):
        pack.pack(packed[0], io.StringIO(), checkpoints=True)
