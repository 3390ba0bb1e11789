"""Reading within bounds: whatever lies there or answers, it ends soon, with one sentence."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request

import pytest

from signalbox.host.doctor import check_services, host_context
from signalbox.host.shared import audit, overrides, within

SOON = 5.0  # seconds, on a busy machine


def pipe(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 << 30)


def nested(path: Path) -> None:
    path.write_bytes(b"[" * 1_000_000)


TRAPS: dict[str, Callable[[Path], None]] = {
    "a pipe": pipe,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "another device": lambda path: path.symlink_to("/dev/full"),
    "5 GB": sparse,
    "a directory": Path.mkdir,
    "a circle": lambda path: path.symlink_to(path),
    "a socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
}


@pytest.fixture(params=TRAPS)
def trap(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "x"
    TRAPS[request.param](path)
    return path


@contextmanager
def soon() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SOON


def test_a_trap_is_no_file(trap: Path) -> None:
    with soon(), pytest.raises(OSError) as told:  # noqa: PT011 (the words are looked at)
        within.bytes_of(trap)
    assert told.value.strerror
    assert told.value.filename == str(trap)


def test_every_reader_of_the_hosts_programs_passes_a_trap(trap: Path) -> None:
    with soon():
        assert host_context.read(trap) is None
        assert list(audit.newest(trap)) == []
        found = list(overrides._of_settings({}, iter([trap])))
        assert [each.beats for each in found] == [True], found
        assert "it cannot be read" in str(found[0])
        with pytest.raises(OSError):  # noqa: PT011
            host_context.key_in(str(trap))
        with pytest.raises(OSError):  # noqa: PT011
            check_services._digest(trap)


def test_a_file_is_read_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"12345")
    assert within.bytes_of(file, 5) == b"12345"
    with pytest.raises(OSError, match="more than"):
        within.bytes_of(file, 4)
    assert within.text_of(Path("/proc/self/status")).startswith("Name:")  # of the kernel's, without a size


def test_lines_that_are_too_long_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"a\n" + b"b" * 25 + b"\nc\n\n" + b"d" * 10 + b"\nend")
    assert list(within.lines_of(file, longest=10)) == [b"a", b"c", b"", b"end"]


@pytest.mark.parametrize("text", ["[" * 1_000_000, '{"a":' * 1_000_000, "9" * 10_000, "nonsense", ""])
def test_json_that_is_none_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        within.json_of(text)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                answer(connection)
            except OSError:
                return  # whoever asked has gone

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.1)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        connection.sendall(b"X-%d: y\r\n" % number)
        time.sleep(0.1)


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(40):
        connection.sendall(b"x" * 65536)


WRONG: dict[str, Callable[[socket.socket], None]] = {
    "a body byte by byte": drip,
    "headers one by one": drip_headers,
    "no HTTP": lambda connection: connection.sendall(b"\x1b]0;t\x07 hello\r\n\r\n"),
    "nothing": lambda connection: connection.close(),
    "a chunk of a wrong size": lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_server_that_is_none_is_an_os_error(wrong: str) -> None:
    with server(WRONG[wrong]) as url, soon(), pytest.raises(OSError):  # noqa: PT011
        within.fetched(Request(url), 0.5)  # noqa: S310


def test_an_answer_is_read_to_its_limit() -> None:
    with server(flood) as url, soon():
        status, _, body = within.fetched(Request(url), 2)  # noqa: S310
    assert (status, len(body)) == (200, within.ANSWER)


def test_a_server_does_not_choose_whom_else_to_ask() -> None:
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/keys\r\nContent-Length: 0\r\n\r\n"
    with server(lambda connection: connection.sendall(elsewhere)) as url:
        assert within.fetched(Request(url), 2)[0] == 302  # noqa: S310


# ---- commands that the doctor runs ----


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("yes", (124, "it prints more than 1024 KiB")),
        ("sleep 60", (124, "no end within 1 s")),
        ("sleep 60 & echo done", (0, "done")),  # what holds its output open is waited for no longer
        ("exec >&- 2>&-; sleep 60", (124, "no end within 1 s")),
    ],
)
def test_a_command_ends_with_all_that_it_has_started(script: str, told: tuple[int, str]) -> None:
    with soon():
        assert host_context.run("sh", "-c", script, timeout=1) == told


def test_nothing_of_a_command_is_left(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    host_context.run("sh", "-c", f"sleep 61 >/dev/null 2>&1 & echo $! > {told}", timeout=5)
    number = int(told.read_text())
    until = time.monotonic() + SOON
    while Path(f"/proc/{number}/cmdline").exists() and b"sleep" in Path(f"/proc/{number}/cmdline").read_bytes():
        assert time.monotonic() < until, "it runs on"
        time.sleep(0.05)


def test_a_command_gets_its_input_and_tells_its_status() -> None:
    assert host_context.run("sh", "-c", "cat; exit 3", stdin="words") == (3, "words")
    assert host_context.run("/nowhere/x")[0] == 127
    assert host_context.run("sh", "-c", "x\0y")[0] == 127


# ---- the audit, which another user writes ----

GOOD = {"time": "2026-11-21T08:22:19+00:00", "status": 200, "cost_usd": 0.0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"time": "x"}, {"time": None}, {"time": "0001-01-01T00:00:00+00:00"}, {"model": ["x"]}, {"lane": {"a": 1}},
        {"cost_usd": "1"}, {"cost_usd": float("nan")}, {"seconds": float("inf")}, {"status": 10**400 // 10**100},
    ],
)  # fmt: skip
def test_an_entry_that_is_none_is_left_out(wrong: dict[str, object]) -> None:
    lines = [json.dumps({**GOOD, **wrong}).encode(), json.dumps(GOOD).encode(), b"[" * 100_000, b"\xff"]
    assert list(audit.parsed(lines)) == [GOOD]
