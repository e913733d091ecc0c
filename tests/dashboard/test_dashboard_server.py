"""The dashboard's server and its command: read-only, local by default, and quiet."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fedrl_ray.cli import main
from fedrl_ray.dashboard import app, live, serve, server
from fedrl_ray.dashboard.live import Live
from fedrl_ray.reports.data import read
from fedrl_ray.reports.tables import to_csv
from tests.support.dashboards import few, sweep


@pytest.fixture
def folder(tmp_path):
    return sweep(tmp_path / "sweep")


@pytest.fixture
def watching(folder, monkeypatch):
    """A dashboard of two sections that reads on demand."""
    monkeypatch.setattr(live, "headline", lambda data: "so far")
    monkeypatch.setattr(live, "sections", few)
    looking = Live([folder])
    looking.refresh()
    return looking


@pytest.fixture
def client(watching):
    return app.build(watching, hosts=["localhost", "::1"]).server.test_client()


def test_get_only_and_headers_that_keep_browsers_at_home(client):
    page = client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert page.status_code == 200
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert "https://" not in page.text and "http://" not in page.text
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.open("/", method=method).status_code == 405
    assert client.post("/csv/configurations.csv").status_code == 405


def test_another_name_for_this_address_is_refused(client):
    for name in ("localhost", "localhost:8050", "LocalHost:8050", "[::1]:8050", "[::1]"):
        assert client.get("/", headers={"Host": name}).status_code == 200
    for name in ("evil.example:8050", "localhost.evil.example", "[::2]:8050", "127.0.0.1", "["):
        assert client.get("/", headers={"Host": name}).status_code == 400


def test_a_csv_has_the_numbers_of_the_report(client, folder):
    section = few(read([folder]))[0]
    assert client.get("/csv/learning-worst.csv").text == to_csv(section.table)
    assert client.get("/csv/none.csv").status_code == 404


_OPENED: list[tuple[str, str]] = []
_PICKLES: list[object] = []


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        _OPENED.append((os.fsdecode(arguments[0]), str(arguments[1])))
    if event == "pickle.find_class":
        _PICKLES.append(arguments)


def tree(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return the times and size of every file and folder."""
    stats = ((path, path.stat()) for path in [folder, *folder.rglob("*")])
    return {path: (s.st_mtime_ns, s.st_ctime_ns, s.st_size) for path, s in stats}


def test_serving_writes_nothing_and_reads_no_pickle(folder, watching, client):
    (folder / "tune").mkdir()
    (folder / "tune" / "tuner.pkl").write_bytes(b"\x80\x04.")
    for path in folder.rglob("*.*"):  # every file is newer than at the last reading
        os.utime(path)
    before = tree(folder)
    sys.addaudithook(_audit)  # stays for the process; lists are cleared below
    _OPENED.clear()
    _PICKLES.clear()
    watching.refresh()
    for path in ("/", "/_dash-layout", "/_dash-dependencies", "/csv/configurations.csv"):
        assert client.get(path).status_code == 200
    opened = [(path, mode) for path, mode in _OPENED if path.startswith(str(folder))]
    assert opened and all("w" not in mode and "a" not in mode for _, mode in opened)
    assert not [path for path, _ in opened if "tune" in path.removeprefix(str(folder))]
    assert _PICKLES == [] and tree(folder) == before


@pytest.fixture
def dashboard(capsys, monkeypatch):
    """Runs the command in this process without serving; returns (status, stdout, stderr)."""
    monkeypatch.setattr(server.BaseWSGIServer, "serve_forever", lambda self: None)
    monkeypatch.setattr(Live, "start", lambda self: None)
    monkeypatch.setattr(serve, "NICE", 0)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fedrl-ray", "dashboard", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


def test_it_listens_on_loopback_unless_told_otherwise(dashboard, folder):
    status, out, err = dashboard(folder, "--port", 0)
    assert status == 0 and out.startswith("dashboard: http://127.0.0.1:") and not err
    status, out, err = dashboard(folder, "--port", 0, "--host", "0.0.0.0")
    assert status == 0 and out.startswith("dashboard: http://0.0.0.0:")
    assert err.startswith("warning: --host 0.0.0.0: there is no password") and err.count("\n") == 1


def test_bad_input_is_one_line_and_status_2(dashboard, folder, tmp_path, monkeypatch):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    cases = [
        ((folder, "--port", port), f"--port {port} on --host 127.0.0.1: Address already in use"),
        ((folder, "--port", 0, "--host", "no.such.invalid"), "--host no.such.invalid: "),
        ((tmp_path / "none" / "sweep",), f"the folder {tmp_path / 'none'} does not exist"),
        ((folder / "sweep.yaml",), "sweep.yaml: must be a run directory, a sweep"),
    ]
    for arguments, words in cases:
        status, out, err = dashboard(*arguments)
        assert status == 2 and not out
        assert err.startswith("error: ") and words in err and err.count("\n") == 1
    taken.close()
    monkeypatch.setattr(serve, "is_installed", lambda name: False)
    status, _, err = dashboard(folder)
    assert status == 2
    assert err == "error: the dashboard needs Dash: pip install 'fedrl-ray[dashboard]'\n"


def test_ctrl_c_ends_it_quietly(folder):
    program = "from fedrl_ray.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "dashboard", str(folder), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("dashboard: http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
