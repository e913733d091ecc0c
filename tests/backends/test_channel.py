"""Messages between two processes of a machine: whole, the receiver's own; a lost end is seen."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedrl_ray.backends.channel import Door, Line, Outbox, call

SECONDS = 10.0
Pair = tuple[Line, Line]


@pytest.fixture
def connect() -> Iterator[Callable[..., Pair]]:
    """Two ends of a line in this process: the caller's, with an outbox of one's own choice, and
    that of who opened the door."""
    with contextlib.ExitStack() as opened:

        def build(outbox: Outbox | None = None) -> Pair:
            mine = outbox or opened.enter_context(contextlib.closing(Outbox()))
            theirs = opened.enter_context(contextlib.closing(Outbox()))
            door, ends = Door(), []
            answering = threading.Thread(target=lambda: ends.append(door.accept(theirs)))
            answering.start()
            line = Line(call(door.name), mine, SECONDS)
            answering.join()
            return line, ends[0]

        yield build


@pytest.mark.parametrize("size", [0, 1, 1000, 300_000])
def test_a_message_arrives_whole_and_answers_too(connect: Callable[..., Pair], size: int) -> None:
    near, far = connect()
    sent = {"q/0": np.arange(size, dtype=np.float32), "name": "agent 3", "none": None}
    near.send(sent)
    got = far.receive(SECONDS)
    assert got.keys() == sent.keys()
    assert (got["name"], got["none"]) == ("agent 3", None)
    assert got["q/0"].dtype == np.float32
    assert np.array_equal(got["q/0"], sent["q/0"])
    far.send(got["q/0"].astype(np.float64) / 3)
    assert np.array_equal(near.receive(SECONDS), np.arange(size) / 3)


def test_messages_grow_and_shrink(connect: Callable[..., Pair]) -> None:
    near, far = connect()
    for size in (10, 100_000, 5, 400_000, 400_001, 0):
        near.send(np.full(size, size))
        assert np.array_equal(far.receive(SECONDS), np.full(size, size))
        far.send(size)
        assert near.receive(SECONDS) == size


def test_what_has_arrived_is_the_receivers_own(connect: Callable[..., Pair]) -> None:
    near, far = connect()
    near.send(np.zeros(50_000))
    first = far.receive(SECONDS)
    near.send(np.ones(50_000))
    first[0] = 7.0
    second = far.receive(SECONDS)
    assert (first[0], first[1:].max(), second.min()) == (7.0, 0.0, 1.0)


def test_one_outbox_is_read_on_several_lines(connect: Callable[..., Pair]) -> None:
    outbox = Outbox()
    pairs = [connect(outbox) for _ in range(3)]
    length = outbox.write(("call", np.arange(20_000)))
    for near, _ in pairs:
        near.tell(length)
    for _, far in pairs:
        verb, numbers = far.receive(SECONDS)
        assert verb == "call"
        assert np.array_equal(numbers, np.arange(20_000))


@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_silence_is_a_timeout(connect: Callable[..., Pair], timeout: float) -> None:
    near, _ = connect()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        near.receive(timeout)
    assert time.monotonic() - started < SECONDS


def test_an_end_that_is_closed_is_seen(connect: Callable[..., Pair]) -> None:
    near, far = connect()
    far.send("the last")
    far.close()
    assert near.receive(SECONDS) == "the last"
    with pytest.raises(EOFError):
        near.receive(SECONDS)
    with pytest.raises(OSError):
        near.send("to nobody")


def answer_for_ever(door: Door) -> None:
    line = door.accept(Outbox())
    while True:
        line.send(line.receive() * 2)


def test_the_death_of_a_process_is_seen_at_once() -> None:
    door, outbox = Door(), Outbox()
    process = multiprocessing.get_context("fork").Process(target=answer_for_ever, args=(door,))
    process.start()
    line = Line(call(door.name), outbox, SECONDS)
    line.send(21)
    assert line.receive(SECONDS) == 42
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(EOFError):
        line.receive(SECONDS)
    process.join()
    door.close()


def test_a_door_is_closed_after_a_call() -> None:
    door = Door()
    call(door.name).close()
    with contextlib.suppress(OSError):  # who called has left already
        door.accept(Outbox())
    with pytest.raises(OSError):
        call(door.name)


def test_another_users_door_is_not_taken_for_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    door, mine = Door(), os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(PermissionError):
        call(door.name)
    door.close()


def test_strangers_are_sent_away_from_a_door(monkeypatch: pytest.MonkeyPatch) -> None:
    door, mine, ends = Door(), os.geteuid(), []
    stranger = call(door.name)
    users = iter([mine + 1])
    monkeypatch.setattr(os, "geteuid", lambda: next(users, mine))
    answering = threading.Thread(target=lambda: ends.append(door.accept(Outbox())))
    answering.start()
    stranger.settimeout(SECONDS)
    assert stranger.recv(1) == b""
    line = Line(call(door.name), Outbox(), SECONDS)
    answering.join()
    line.send("hello")
    assert ends[0].receive(SECONDS) == "hello"


def test_an_end_is_closed_though_a_forked_process_holds_it(connect: Callable[..., Pair]) -> None:
    near, far = connect()
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    far.close()
    with pytest.raises(EOFError):
        near.receive(SECONDS)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_nobody_behind_a_door_is_not_waited_for_for_ever() -> None:
    door, started = Door(), time.monotonic()
    with pytest.raises(OSError):
        Line(call(door.name), Outbox(), 0.05)
    assert time.monotonic() - started < SECONDS
    door.close()


def test_closed_lines_leave_no_file_open(connect: Callable[..., Pair]) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    outbox = Outbox()
    before = opened()
    for _ in range(5):
        other, door, ends = Outbox(), Door(), []
        thread: Any = threading.Thread(target=lambda d, o, e: e.append(d.accept(o)),
                                       args=(door, other, ends))  # fmt: skip
        thread.start()
        line = Line(call(door.name), outbox, SECONDS)
        thread.join()
        line.close()
        ends[0].close()
        other.close()
    assert opened() == before
