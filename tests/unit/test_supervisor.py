"""The gateway's supervisor as a process, with containers that are programs of this machine."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.supervisor import stage

pytestmark = pytest.mark.slow

PROGRAMS = Path(stage.__file__).parent
SUPERVISOR, STAGE = PROGRAMS / "launch.py", PROGRAMS / "stage.py"
# `docker run` serves the models of the config.yaml that is mounted, until `docker stop`.
DOCKER = """#!{python}
import http.server, json, os, signal, sys, threading, time
from pathlib import Path
verb, words, place = sys.argv[1], sys.argv[2:], Path("{place}")
if verb != "run":
    try:
        os.kill(int((place / words[-1]).read_text()), signal.SIGTERM)
    except (OSError, ValueError):
        pass
    sys.exit()
name, port = words[words.index("--name") + 1], int(words[words.index("--publish") + 1].split(":")[1])
(place / name).write_text(str(os.getpid()))
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
sources = {{each.split("dst=")[1].split(",")[0]: Path(each.split("src=")[1].split(",")[0])
            for each in words if each.startswith("--mount=")}}
models = sources["/signalbox/config.yaml"].read_text().split()
_, relay = ((sources["/run/secrets"] / each).read_text().strip() for each in ("LITELLM_MASTER_KEY", "RELAY"))
if "crash" in models:
    sys.exit("cannot load the configuration")
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        assert self.headers["x-signalbox-relay"] == relay
        if "deep" in models and self.path == "/signalbox/models":
            self.say(b"[" * 3_000_000)
        else:
            self.say(json.dumps(dict.fromkeys(models) if self.path == "/signalbox/models" else {{}}).encode())
    def do_POST(self):
        assert self.headers["x-signalbox-relay"] == relay
        body = self.rfile.read(int(self.headers["content-length"]))
        while (place / "wait").exists() and self.path == "/slow":
            time.sleep(0.02)
        self.say(name.encode() + b" " + body)
    def say(self, text):
        self.send_response(200)
        self.send_header("connection", self.headers["connection"] or "")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer.request_queue_size = 100  # or connections are reset that come all at once
http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()
"""
PATIENCE = 60  # seconds until a test gives up waiting for a state


def until(reached: Any) -> None:
    """Wait for a state."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


class Host:
    """A supervisor with its directories; `docker` is ours."""

    def __init__(self, directory: Path) -> None:
        self.wanted, self.runtime, self.state = (directory / each for each in ("wanted", "run/litellm", "state"))
        self.containers, programs = directory / "containers", directory / "bin"
        for each in (self.wanted, self.runtime, self.state, self.containers, programs):
            each.mkdir(parents=True)
        docker = programs / "docker"
        docker.write_text(DOCKER.format(python=sys.executable, place=self.containers))
        docker.chmod(0o755)
        self.key = directory / "key.cred"
        self.key.write_text("sk-one\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {"PATH": f"{programs}:/usr/bin:/bin"}
        self.process: subprocess.Popen[str] | None = None
        (self.runtime / "started").write_text("0  unit\n")
        self.want("local", "local")

    def want(self, served: str, asked_for: str) -> None:
        """Have a configuration on disk; `served`: what the container makes of it."""
        (self.wanted / "config.yaml").write_text(f"{served}\n")
        (self.wanted / "start").write_text("#!/bin/sh\n")
        wanted = {
            "run": [],
            "secrets": {"LITELLM_MASTER_KEY": [str(self.key), f"cat {self.key}"]},
            "deployments": asked_for.split(),
            "start_timeout_seconds": PATIENCE,
            "drain_seconds": PATIENCE,
        }
        (self.wanted / "container.json").write_text(json.dumps(wanted))

    def program(self, *words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-B", *map(str, words)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE * 2)

    def stage(self) -> subprocess.CompletedProcess[str]:
        return self.program(STAGE, self.wanted, self.runtime, self.state)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self.stage().returncode == 0
        command = [sys.executable, "-B", SUPERVISOR, "serve", self.runtime, self.state, str(self.port)]
        self.process = subprocess.Popen(command, env=self.environment, text=True, stdout=subprocess.PIPE)
        until(lambda: self.process.poll() is None and self.answers())  # type: ignore[union-attr]

    def answers(self) -> bool:
        try:
            return bool(self.ask())
        except OSError:
            return False

    def ask(self, path: str = "/", body: bytes = b"hello") -> bytes:
        """Ask once and return the answer: the container's name, and what was said."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("POST", path, body, {"connection": "keep-alive"})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        return answer.read()

    def swap(self) -> subprocess.CompletedProcess[str]:
        """Have it take what is on disk, as a reload does."""
        staged = self.stage()
        return staged if staged.returncode else self.program(SUPERVISOR, "swap", self.runtime)

    def noted(self) -> dict[str, str]:
        """Return what it says that it runs with."""
        lines = (self.runtime.parent / "litellm.service.inputs").read_text().splitlines()
        return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}

    def refused(self) -> str:
        path = self.runtime.parent / "litellm.service.refused"
        return path.read_text() if path.exists() else ""

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=PATIENCE)
        for pid in self.containers.glob("litellm-*"):
            assert not Path(f"/proc/{pid.read_text()}").exists(), f"{pid.name} was left behind"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    host.start()
    try:
        yield host
    finally:
        (host.containers / "wait").unlink(missing_ok=True)
        host.stop()


def test_bytes_pass_through_as_they_are(gateway: Host) -> None:
    body = os.urandom(3_000_000)
    assert gateway.ask(body=body) == b"litellm-1 " + body


def test_a_head_may_come_in_pieces_and_the_end_of_what_is_asked_before_the_answer(gateway: Host) -> None:
    head = b"POST / HTTP/1.1\r\nHost: here\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"
    for size in (1, 7, 60, len(head)):
        with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as client:
            for at in range(0, len(head), size):
                client.sendall(head[at : at + size])
                time.sleep(0.001)
            client.shutdown(socket.SHUT_WR)
            told = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert told.endswith(b"\r\n\r\nlitellm-1 hello")
        assert b"connection: close" in told.lower()


def test_a_head_without_end_is_heard_no_longer(gateway: Host) -> None:
    def go_on() -> None:
        for _ in range(1000):
            client.sendall(b"x-long: " + b"a" * 4096 + b"\r\n")
            time.sleep(0.001)

    client = socket.create_connection(("127.0.0.1", gateway.port), PATIENCE)
    with client, pytest.raises(OSError):  # noqa: PT011
        go_on()
    assert gateway.ask() == b"litellm-1 hello"


def test_who_does_not_read_holds_nobody_up_and_who_goes_is_forgotten(gateway: Host) -> None:
    body = os.urandom(30_000_000)
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert gateway.process
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as client:
        client.sendall(head + body)
        time.sleep(1)  # nobody reads the answer
        status = Path(f"/proc/{gateway.process.pid}/status").read_text()
        held = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        assert held < 60_000, f"{held} KiB: it keeps what nobody reads"
        assert gateway.ask() == b"litellm-1 hello"
    gateway.want("local other", "local other")
    assert gateway.swap().returncode == 0
    first = int((gateway.containers / "litellm-1").read_text())
    until(lambda: not Path(f"/proc/{first}").exists())  # it does not wait for one who has gone


def test_what_is_under_way_ends_where_it_began(gateway: Host) -> None:
    wait = gateway.containers / "wait"
    wait.touch()
    with ThreadPoolExecutor(20) as pool:
        slow = [pool.submit(gateway.ask, "/slow") for _ in range(20)]
        gateway.want("local other", "local other")
        swapped = gateway.swap()
        assert (swapped.returncode, swapped.stderr) == (0, "")
        assert {gateway.ask() for _ in range(20)} == {b"litellm-2 hello"}
        first = int((gateway.containers / "litellm-1").read_text())
        wait.unlink()
        assert {each.result() for each in slow} <= {b"litellm-1 hello", b"litellm-2 hello"}
    until(lambda: not Path(f"/proc/{first}").exists())
    config = str(gateway.wanted / "config.yaml")
    assert gateway.noted()[config] == hashlib.sha256(b"local other\n").hexdigest()
    assert gateway.noted()["unit"] == "0"
    until(lambda: [each.name for each in gateway.runtime.iterdir() if each.is_dir()] == ["2"])  # no key is left


@pytest.mark.parametrize(
    ("served", "asked_for", "why"),
    [
        ("local", "local other", "LiteLLM does not take the configuration of other"),
        ("crash", "local", "cannot load the configuration\nthe gateway ended while it started (exit status 1)"),
    ],
)
def test_one_that_does_not_come_up_replaces_nothing(gateway: Host, served: str, asked_for: str, why: str) -> None:
    before = gateway.noted()
    gateway.want(served, asked_for)
    swapped = gateway.swap()
    assert (swapped.returncode, swapped.stderr.strip()) == (1, why)
    assert (gateway.ask(), gateway.noted(), gateway.refused().strip()) == (b"litellm-1 hello", before, why)
    gateway.want("local", "local")
    assert gateway.swap().returncode == 0
    assert (gateway.ask(), gateway.refused()) == (b"litellm-3 hello", "")


def test_a_key_that_cannot_be_read_is_told(gateway: Host) -> None:
    gateway.key.unlink()
    swapped = gateway.swap()
    assert swapped.returncode == 1
    assert swapped.stderr.startswith("LITELLM_MASTER_KEY cannot be read; run the deploy again\n")
    assert gateway.refused() == swapped.stderr
    assert gateway.ask() == b"litellm-1 hello"
    gateway.key.write_text("sk-two\n")
    assert gateway.swap().returncode == 0


def test_one_whose_answer_is_none_replaces_nothing(gateway: Host) -> None:
    gateway.want("deep", "local")
    swapped = gateway.swap()
    assert (swapped.returncode, "the gateway does not tell its models" in swapped.stderr) == (1, True), swapped.stderr
    assert gateway.ask() == b"litellm-1 hello"


def test_a_restart_takes_what_was_good_last(gateway: Host) -> None:
    good = gateway.noted()
    gateway.want("crash", "local")
    assert gateway.swap().returncode == 1
    gateway.stop()
    gateway.start()
    assert (gateway.ask().partition(b" ")[2], gateway.noted()) == (b"hello", good)
    assert "cannot load the configuration" in gateway.refused()
    assert len([each for each in gateway.runtime.iterdir() if each.is_dir()]) == 1, "keys are left in memory"


def test_it_ends_with_its_container(gateway: Host) -> None:
    os.kill(int((gateway.containers / "litellm-1").read_text()), signal.SIGKILL)
    assert gateway.process
    told, _ = gateway.process.communicate(timeout=PATIENCE)
    assert gateway.process.returncode == 1
    assert "the gateway's container ended by itself" in told


def test_a_port_that_is_taken_is_told(gateway: Host) -> None:
    again = gateway.program(SUPERVISOR, "serve", gateway.runtime, gateway.state, gateway.port)
    assert (again.returncode, again.stderr) == (1, f"127.0.0.1:{gateway.port}: Address already in use\n")


def test_a_container_knows_the_names_that_stand_in_this_hosts_own_file(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    lines = "127.0.1.1 studio\n192.0.2.7 box.lan box # studio\nnot a line\n\n192.0.2.8 box\n2001:db8::1 six\n"
    hosts.write_bytes(lines.encode() + b"\xff\xff x\n")
    names = ["box", "box.lan", "six", "studio", "elsewhere"]
    assert stage.in_file(names, hosts) == {"box.lan": "192.0.2.7", "box": "192.0.2.7", "six": "2001:db8::1"}
    assert stage.in_file(names, tmp_path / "none") == {}


def test_a_container_knows_the_names_that_this_host_knows_by_more_than_dns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container asks DNS alone: moby/moby #38531, home-assistant/supervisor #804, homebridge/docker-homebridge #158,
    nirui/sshwifty #180, olbat/dockerfiles #58.
    """
    monkeypatch.setattr(stage, "PATIENCE", 0.5)
    getent = tmp_path / "getent"
    getent.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '"-s dns ahostsv4 box.example") echo "192.0.2.5 STREAM box.example" ;;\n'
        '"ahostsv4 studio.local") printf "127.0.0.1 STREAM x\\n192.0.2.9 STREAM x\\n192.0.2.9 DGRAM\\n" ;;\n'
        '"ahostsv4 here.local") echo "127.0.1.1 STREAM here.local" ;;\n'
        "*slow.local) sleep 30 ;;\n"
        "*) exit 2 ;;\n"
        "esac\n"
    )
    getent.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    names = ["box", "box.example", "here.local", "nobody.local", "slow.local", "studio.local"]
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.7 box\n")
    started = time.monotonic()
    assert stage.known_here(names, hosts) == {"box": "192.0.2.7", "studio.local": "192.0.2.9"}
    assert time.monotonic() - started < 20
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert stage.known_here(names, hosts) == {"box": "192.0.2.7"}


def test_a_stand_in_and_the_gateway_do_not_meet(gateway: Host, tmp_path: Path) -> None:
    runtime, state = tmp_path / "handover/standin", tmp_path / "handover/state"
    for each in (runtime, state):
        each.mkdir(parents=True)
    (runtime / "started").touch()
    noted = gateway.noted()
    assert gateway.program(STAGE, gateway.wanted, runtime, state).returncode == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-B", SUPERVISOR, "serve", runtime, state, str(port), "handover"]
    own, gateway.port = gateway.port, port
    with subprocess.Popen(command, env=gateway.environment, text=True, stdout=subprocess.PIPE) as other:
        until(gateway.answers)
        assert gateway.ask() == b"standin-1 hello"
        labels = [
            Path(f"/proc/{(gateway.containers / name).read_text()}/cmdline").read_bytes().split(b"\0")
            for name in ("litellm-1", "standin-1")
        ]
        assert [b"signalbox=gateway" in labels[0], b"signalbox=handover" in labels[1]] == [True, True]
        gateway.port = own
        assert gateway.ask() == b"litellm-1 hello"
        other.send_signal(signal.SIGTERM)
        other.wait(PATIENCE)
    assert gateway.noted() == noted
    assert gateway.ask() == b"litellm-1 hello"
