"""A malformed request is refused quietly: a status, not a word on the terminal, no memory."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from fedrl_ray.dashboard import app, live, server
from fedrl_ray.dashboard.bodies import LIMIT
from fedrl_ray.dashboard.live import Live
from tests.support.dashboards import few, sweep

CALLBACK = "/_dash-update-component"
SECRET = "do-not-quote-me"


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Return a client of a dashboard, and the body that its page sends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "headline", lambda data: "so far")
        patch.setattr(live, "sections", few)
        watching = Live([sweep(tmp_path_factory.mktemp("bodies") / "sweep")])
        watching.refresh()
        built = app.build(watching, hosts=["localhost"])
    client = built.server.test_client()
    callback = next(c for c in client.get("/_dash-dependencies").json if "tick" in str(c["inputs"]))
    yield client, body_of(callback)


def body_of(callback: dict[str, Any]) -> dict[str, Any]:
    """Return the body that Dash's own script sends for a callback at its first call."""
    place = {"type": "place", "section": 0}
    ids = ("title", "state", "headline", "cards", "contents", "trial-rows")
    heads = [{"id": id, "property": "children"} for id in ids]
    rest = [{"id": "known", "property": "data"}, {"id": "clock", "property": "data"}]
    return {
        "output": callback["output"],
        "outputs": [*heads, [{"id": place, "property": "children"}], *rest],
        "inputs": [{"id": "tick", "property": "n_intervals", "value": 1}],
        "changedPropIds": ["tick.n_intervals"],
        "state": [
            {"id": "known", "property": "data", "value": {}},
            [{"id": place, "property": "id", "value": place}],
        ],
    }


def test_the_page_itself_is_answered(asked, capfd):
    client, body = asked
    found = client.post(CALLBACK, json=body)
    assert found.status_code == 200 and "4 trials" in found.text
    assert capfd.readouterr() == ("", "")


JSON = {"content_type": "application/json"}
MALFORMED: dict[str, tuple[dict[str, Any], int]] = {
    "no JSON": ({"data": f"{SECRET}{{", **JSON}, 400),
    "empty": ({"data": "", **JSON}, 411),
    "a form": ({"data": {"a": SECRET}}, 415),
    "text": ({"data": SECRET, "content_type": "text/plain"}, 415),
    "no type": ({"data": f'{{"output": "{SECRET}"}}'}, 415),
    "no UTF-8": ({"data": b'{"output": "\xff\xfe"}', **JSON}, 400),
    "another charset": ({"data": '{"a": "\u00fc"}'.encode("utf-16"), **JSON}, 400),
    "too deep": ({"data": "[" * 100_000, **JSON}, 400),
    "too long": ({"data": b" " * (LIMIT + 1), **JSON}, 413),
    "a list": ({"data": "[1, 2]", **JSON}, 400),
    "null": ({"data": "null", **JSON}, 400),
    "a number": ({"data": "1e999", **JSON}, 400),
    "an empty object": ({"data": "{}", **JSON}, 400),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_post_is_refused_without_a_word(asked, capfd, kind):
    client, _ = asked
    request, status = MALFORMED[kind]
    found = client.post(CALLBACK, **request)
    assert found.status_code == status and SECRET not in found.text
    assert "Content-Security-Policy" in found.headers
    assert capfd.readouterr() == ("", "")


def changed(body: dict[str, Any], *path: Any, value: Any) -> dict[str, Any]:
    """Return a copy of a body with one value replaced."""
    copy = json.loads(json.dumps(body))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    "path",
    [
        ("output",), ("outputs",), ("inputs",), ("state",), ("changedPropIds",), ("inputs", 0),
        ("inputs", 0, "id"), ("inputs", 0, "property"), ("state", 0), ("state", 0, "value"),
        ("state", 1), ("state", 1, 0), ("outputs", 0), ("outputs", 6), ("outputs", 6, 0, "id"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [SECRET, 7, None, [], {}, [SECRET], {"type": SECRET}])
def test_a_body_with_one_wrong_value_is_quiet_too(asked, capfd, path, value):
    client, body = asked
    found = client.post(CALLBACK, json=changed(body, *path, value=value))
    assert found.status_code in (200, 204, 400)  # some values make no difference
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "known",
    [
        {"version": SECRET}, {"version": 1, "sections": [1]}, {"sections": {"front": 3}},
        {"rows": 5}, {"places": SECRET}, [SECRET], {"sections": {"front": ["a", "b", "c"]}},
    ],
)  # fmt: skip
def test_a_state_that_no_browser_has_is_refused(asked, capfd, known):
    client, body = asked
    found = client.post(CALLBACK, json=changed(body, "state", 0, "value", value=known))
    assert found.status_code == 400 and SECRET not in found.text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "path",
    ["/none", "/csv/none.csv", "/_dash-component-suites/none/x.js", "/_reload-hash",
     "/_favicon.ico", "/csv/..%2f..%2fetc%2fpasswd.csv", "/%ff%fe",
     "/_dash-component-suites/dash/..%2f..%2fx.py"],
)  # fmt: skip
def test_an_unknown_path_is_quiet(asked, capfd, path):
    client, _ = asked
    assert client.get(path).status_code < 500
    assert client.post(path, data=SECRET).status_code == 405
    assert capfd.readouterr() == ("", "")


def test_an_error_of_ours_is_told_in_one_line(asked, capfd, monkeypatch):
    client, body = asked
    monkeypatch.setattr(app, "answer", lambda *_: 1 / 0)
    assert client.post(CALLBACK, json=body).status_code == 500
    assert capfd.readouterr() == ("", "dashboard: ZeroDivisionError: division by zero\n")


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[tuple[str, int]]:
    """Return the address of a dashboard that is served over sockets."""
    with pytest.MonkeyPatch.context() as patch, server.listen("127.0.0.1", 0) as listener:
        patch.setattr(live, "sections", few)
        patch.setattr(server.QuietHandler, "timeout", 0.5)
        served = server.make([sweep(tmp_path_factory.mktemp("raw") / "sweep")], listener,
                             "127.0.0.1")  # fmt: skip
        thread = Thread(target=served.serve_forever)
        thread.start()
        yield listener.getsockname()[:2]
        served.shutdown()
        thread.join()


HEAD = (
    f"POST {CALLBACK} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
).encode()
RAW: dict[str, tuple[bytes, bytes]] = {
    "no length": (HEAD + b"\r\n{}", b" 411 "),
    "in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b" 411 "),
    "a length that is no number": (HEAD + b"Content-Length: x\r\n\r\n{}", b" 400 "),
    "a negative length": (HEAD + b"Content-Length: -5\r\n\r\n{}", b" 400 "),
    "a body that ends early": (HEAD + b"Content-Length: 50\r\n\r\n{}", b""),
    "far too long": (HEAD + b"Content-Length: 3000000\r\n\r\n" + b" " * 3_000_000, b" 413 "),
    "a length without a body": (HEAD + b"Content-Length: 99999999999\r\n\r\n", b" 413 "),
    "no HTTP": (b"\x16\x03\x01\x02\x00 do-not-quote-me\r\n\r\n", b""),
    "a host that is none": (b"GET / HTTP/1.1\r\nHost: [::\r\n\r\n", b" 400 "),
    "a long line": (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b" 431 "),
    "nothing": (b"", b""),
    "half a header": (b"GET / HTTP/1.1\r\nHo", b""),
}  # fmt: skip


@pytest.mark.parametrize("kind", RAW)
def test_bytes_that_are_no_request_are_quiet(address, capfd, kind):
    sent, status = RAW[kind]
    with socket.create_connection(address, timeout=30) as client:
        client.sendall(sent)
        received = b""
        while chunk := client.recv(1 << 16):
            received += chunk
    assert status in received[:200] and SECRET.encode() not in received
    assert capfd.readouterr() == ("", "")
    with socket.create_connection(address, timeout=30) as client:  # it still serves
        client.sendall(b"GET /csv/none.csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 404 " in client.recv(1 << 16)[:200]
