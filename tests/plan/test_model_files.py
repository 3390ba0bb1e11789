"""How a host fetches a model: a deploy's own command, against a server that breaks off, lies or knows no ranges."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.plan.simulated import deploy

WEIGHTS = b"GGUF" + bytes(range(256)) * 400
MODEL = {"source": "https://mirror.lan/small.gguf", "sha256": "b" * 64}
ROOM = str(1024 << 20)  # bytes that stay free


@cache
def command() -> str:
    pin = {"sha256": {"cpu_amd64": "d" * 64}}
    seen = deploy({"model_server": {"enabled": True, "models": {"local": MODEL}, "llama_cpp": pin}})
    (found,) = [each["command"] for each in seen.sent if "small-bbbbbbbbbbbb.gguf.part" in each["command"]]
    return found


@dataclass
class Mirror:
    """A mirror with one file. breaks_off: after so many bytes of an answer. sent: bytes of answers, each."""

    content: bytes = WEIGHTS
    ranges: bool = True
    breaks_off: int | None = None
    sent: list[int] = field(default_factory=list)


@pytest.fixture
def mirror() -> Iterator[tuple[Mirror, str]]:
    it = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._head(200, len(it.content))

        def do_GET(self) -> None:
            asked = self.headers.get("Range") if it.ranges else None
            start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
            if asked and start >= len(it.content):
                self._head(416, 0)
                return
            body = it.content[start:]
            self._head(206 if asked else 200, len(body), start if asked else None)
            body = body[: it.breaks_off]
            it.sent.append(len(body))
            self.wfile.write(body)
            self.close_connection = True

        def _head(self, status: int, length: int, start: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            if start is not None:
                self.send_header("Content-Range", f"bytes {start}-{len(it.content) - 1}/{len(it.content)}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield it, f"http://127.0.0.1:{server.server_port}/small.gguf"
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Host:
    """Directories in the place of a host's. run: the deploy's command there, with words changed."""

    model: Path
    run: Callable[..., subprocess.CompletedProcess[str]]

    @property
    def part(self) -> Path:
        return self.model.with_name(f"{self.model.name}.part")


@pytest.fixture
def host(tmp_path: Path, mirror: tuple[Mirror, str]) -> Host:
    (tmp_path / "models").mkdir()
    digest = hashlib.sha256(WEIGHTS).hexdigest()

    def run(changes: tuple[tuple[str, str], ...] = ()) -> subprocess.CompletedProcess[str]:
        text = command()
        places = (("/var/lib/signalbox", f"{tmp_path}/state"), ("/var/lib/models", f"{tmp_path}/models"))
        for old, new in (*places, (str(MODEL["source"]), mirror[1]), ("b" * 64, digest), ("--retry 5", "--retry 0"),
                         (ROOM, "0"), *changes):  # fmt: skip
            assert old in text, old
            text = text.replace(old, new)
        return subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=60, check=False)

    return Host(tmp_path / "models/small-bbbbbbbbbbbb.gguf", run)


def test_it_is_fetched_proven_and_recorded(host: Host, mirror: tuple[Mirror, str]) -> None:
    done = host.run()
    assert done.returncode == 0, done.stderr
    assert host.model.read_bytes() == WEIGHTS
    assert not host.part.exists()
    (entry,) = (host.model.parent.parent / "state/manifest").iterdir()
    assert hashlib.sha256(WEIGHTS).hexdigest() in entry.read_text()
    assert mirror[0].sent == [len(WEIGHTS)]


def test_a_download_that_was_ended_goes_on_where_it_was(host: Host, mirror: tuple[Mirror, str]) -> None:
    mirror[0].breaks_off = 10_000
    assert host.run().returncode != 0
    assert not host.model.exists()
    assert host.part.stat().st_size == 10_000
    mirror[0].breaks_off = None
    assert host.run().returncode == 0
    assert mirror[0].sent == [10_000, len(WEIGHTS) - 10_000]
    assert host.model.read_bytes() == WEIGHTS


def test_a_server_that_cannot_go_on_in_the_middle_is_asked_for_all(host: Host, mirror: tuple[Mirror, str]) -> None:
    mirror[0].ranges = False
    host.part.write_bytes(WEIGHTS[:5000])
    done = host.run()
    assert done.returncode == 0, done.stderr
    assert host.model.read_bytes() == WEIGHTS


def test_a_whole_file_that_a_run_did_not_live_to_name_is_not_fetched_again(
    host: Host, mirror: tuple[Mirror, str]
) -> None:
    host.part.write_bytes(WEIGHTS)
    done = host.run()
    assert done.returncode == 0, done.stderr
    assert host.model.read_bytes() == WEIGHTS
    assert mirror[0].sent == []


def test_one_that_is_there_already_is_proven_alone(host: Host, mirror: tuple[Mirror, str]) -> None:
    host.model.write_bytes(WEIGHTS)
    assert host.run().returncode == 0
    assert mirror[0].sent == []


@pytest.mark.parametrize("other", [WEIGHTS[:-1] + b"x", WEIGHTS[:-1], b"<html>log in</html>"])
def test_another_file_is_thrown_away_and_never_has_the_name(
    host: Host, mirror: tuple[Mirror, str], other: bytes
) -> None:
    mirror[0].content = other
    done = host.run()
    assert done.returncode != 0
    assert "this is not the model of sha256" in done.stderr
    assert not host.model.exists()
    assert not host.part.exists()


def test_a_part_of_something_else_does_not_stay_for_ever(host: Host) -> None:
    host.part.write_bytes(b"x" * 5000)
    assert host.run().returncode != 0
    assert host.run().returncode == 0
    assert host.model.read_bytes() == WEIGHTS


def test_a_disk_without_room_is_told_before_anything_is_fetched(host: Host, mirror: tuple[Mirror, str]) -> None:
    done = host.run((("+ 0))", "+ 1000000000000000))"),))
    assert done.returncode != 0
    assert "the disk has no room for the model" in done.stderr
    assert mirror[0].sent == []


def test_a_mirror_that_is_away_leaves_what_was_there(host: Host) -> None:
    host.part.write_bytes(WEIGHTS[:5000])
    done = host.run((("127.0.0.1", "127.0.0.2"),))
    assert done.returncode != 0
    assert host.part.stat().st_size == 5000
