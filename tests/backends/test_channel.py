"""Channel between two processes of one machine: messages arrive whole, a lost process is seen."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fedrl_ray.backends.channel import Channel, Listener, SendBuffer, connect

SECONDS = 10.0
Pair = tuple[Channel, Channel]
OpenPair = Callable[..., Pair]


@pytest.fixture
def open_pair() -> Iterator[OpenPair]:
    """Opens a channel within this process: returns the end that connects, with a send buffer of
    the caller's choice, and the end that accepts."""
    with contextlib.ExitStack() as opened:

        def build(send_buffer: SendBuffer | None = None) -> Pair:
            mine = send_buffer or opened.enter_context(contextlib.closing(SendBuffer()))
            theirs = opened.enter_context(contextlib.closing(SendBuffer()))
            return pair(mine, theirs)

        yield build


def pair(mine: SendBuffer, theirs: SendBuffer) -> Pair:
    """Both ends of a new channel: the one that connects and the one that accepts."""
    listener, accepted = Listener(), list[Channel]()
    accepting = threading.Thread(target=lambda: accepted.append(listener.accept(theirs)))
    accepting.start()
    channel = Channel(connect(listener.address), mine, SECONDS)
    accepting.join()
    return channel, accepted[0]


@pytest.mark.parametrize("size", [0, 1, 1000, 300_000])
def test_a_message_and_its_reply_arrive_whole(open_pair: OpenPair, size: int) -> None:
    near, far = open_pair()
    sent = {"q/0": np.arange(size, dtype=np.float32), "name": "agent 3", "none": None}
    near.send(sent)
    got = far.receive(SECONDS)
    assert got.keys() == sent.keys()
    assert (got["name"], got["none"]) == ("agent 3", None)
    assert got["q/0"].dtype == np.float32
    assert np.array_equal(got["q/0"], sent["q/0"])
    far.send(got["q/0"].astype(np.float64) / 3)
    assert np.array_equal(near.receive(SECONDS), np.arange(size) / 3)


def test_messages_grow_and_shrink(open_pair: OpenPair) -> None:
    near, far = open_pair()
    for size in (10, 100_000, 5, 400_000, 400_001, 0):
        near.send(np.full(size, size))
        assert np.array_equal(far.receive(SECONDS), np.full(size, size))
        far.send(size)
        assert near.receive(SECONDS) == size


def test_the_receiver_owns_what_it_received(open_pair: OpenPair) -> None:
    near, far = open_pair()
    near.send(np.zeros(50_000))
    first = far.receive(SECONDS)
    near.send(np.ones(50_000))
    first[0] = 7.0
    second = far.receive(SECONDS)
    assert (first[0], first[1:].max(), second.min()) == (7.0, 0.0, 1.0)


def test_several_channels_read_one_send_buffer(open_pair: OpenPair) -> None:
    send_buffer = SendBuffer()
    pairs = [open_pair(send_buffer) for _ in range(3)]
    length = send_buffer.write(("round 3", np.arange(20_000)))
    for near, _ in pairs:
        near.notify(length)
    for _, far in pairs:
        name, numbers = far.receive(SECONDS)
        assert name == "round 3"
        assert np.array_equal(numbers, np.arange(20_000))


@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_receive_raises_timeout_error_if_nothing_comes(open_pair: OpenPair, timeout: float) -> None:
    near, _ = open_pair()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        near.receive(timeout)
    assert time.monotonic() - started < SECONDS


def test_a_closed_end_is_seen_after_its_last_message(open_pair: OpenPair) -> None:
    near, far = open_pair()
    far.send("the last")
    far.close()
    assert near.receive(SECONDS) == "the last"
    with pytest.raises(EOFError):
        near.receive(SECONDS)
    with pytest.raises(OSError):
        near.send("to nobody")


def double_every_message(listener: Listener) -> None:
    channel = listener.accept(SendBuffer())
    while True:
        channel.send(channel.receive() * 2)


def test_the_death_of_a_process_is_seen_at_once() -> None:
    listener, send_buffer = Listener(), SendBuffer()
    process = multiprocessing.get_context("fork").Process(
        target=double_every_message, args=(listener,)
    )
    process.start()
    channel = Channel(connect(listener.address), send_buffer, SECONDS)
    channel.send(21)
    assert channel.receive(SECONDS) == 42
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(EOFError):
        channel.receive(SECONDS)
    process.join()
    listener.close()


def test_a_listener_accepts_one_connection() -> None:
    listener = Listener()
    connect(listener.address).close()
    with contextlib.suppress(OSError):  # the connection is closed already
        listener.accept(SendBuffer())
    with pytest.raises(OSError):
        connect(listener.address)


def test_connect_refuses_a_listener_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, mine = Listener(), os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(PermissionError):
        connect(listener.address)
    listener.close()


def test_a_listener_closes_connections_of_other_users(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, mine, accepted = Listener(), os.geteuid(), list[Channel]()
    stranger = connect(listener.address)
    users = iter([mine + 1])
    monkeypatch.setattr(os, "geteuid", lambda: next(users, mine))
    accepting = threading.Thread(target=lambda: accepted.append(listener.accept(SendBuffer())))
    accepting.start()
    stranger.settimeout(SECONDS)
    assert stranger.recv(1) == b""
    channel = Channel(connect(listener.address), SendBuffer(), SECONDS)
    accepting.join()
    channel.send("hello")
    assert accepted[0].receive(SECONDS) == "hello"


def test_a_closed_end_is_seen_though_a_forked_process_holds_its_socket(
    open_pair: OpenPair,
) -> None:
    near, far = open_pair()
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    far.close()
    with pytest.raises(EOFError):
        near.receive(SECONDS)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_opening_a_channel_times_out_if_nobody_accepts() -> None:
    listener, started = Listener(), time.monotonic()
    with pytest.raises(OSError):
        Channel(connect(listener.address), SendBuffer(), 0.05)
    assert time.monotonic() - started < SECONDS
    listener.close()


def test_closed_channels_leave_no_file_open() -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    send_buffer, times = SendBuffer(), 20
    before = open_files()
    for _ in range(times):
        theirs = SendBuffer()
        for end in pair(send_buffer, theirs):
            end.close()
            end.close()  # closing twice closes no file of another's
        theirs.close()
    assert open_files() < before + times  # a thread of Ray's may open one meanwhile
