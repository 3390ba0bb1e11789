"""The host's half of a hand-over, with programs of this machine: what it decides, and in which order it acts.

How restarts without downtime fail for others is beside the row that tries it; what needs a host is in drill swap.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from signalbox.desired.render import render
from signalbox.operations import handover as operation
from signalbox.operations.handover import StandIn
from signalbox.shell import handover, sh
from signalbox.shell.run_as import SYSTEM_PATH

UNIT = render(
    "gateway/litellm.service", port=4000, start_timeout_seconds=180, home="/home/x", programs="/home/x/supervisor",
    inputs=("a",), limits={"memory_mib": 2048, "tasks": 512, "files": 4096},
)  # fmt: skip
NEVER = 4001  # nobody listens there
FAKES = {
    "nft": 'echo "nft $*" >> calls; cat > /dev/null; [ ! -e no-nat ] || [ "$1" != -c ]',
    "systemctl": "[ ! -e place/inactive ]",
    "systemd-run": 'printf "%s\\n" "$@" > unit',
    "journalctl": "echo the image is not there",
    "docker": 'echo "docker $*" >> calls',
    "nsenter": 'shift 2; "$@"',
    "setpriv": 'while [ "$1" != -- ]; do shift; done; shift; "$@"',
}


class Host:
    """The program with its place in a directory; its programs are in `bin`, and note in `calls` what they do."""

    def __init__(self, directory: Path, port: int, drain: int = 60) -> None:
        self.place, programs = directory / "place", directory / "bin"
        self.place.mkdir()
        programs.mkdir()
        for name, text in FAKES.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        (self.place / "calls").touch()
        it = StandIn(os.environ.get("USER", "root"), str(directory), "/files", port, 180, drain, UNIT)
        path = f"{programs}:{SYSTEM_PATH}"
        restart = sh("echo restart >> calls; echo its words >&2; [ ! -e broken ]")
        text = operation.program(it, restart, "token").replace(SYSTEM_PATH, path)
        if os.getuid() == 0:
            text = text.replace(" uid:$uid ", " ino:")  # ss does not say uid:0
        self.text = text.replace(handover.PLACE, str(self.place))
        (self.place / "program").write_text(self.text)

    def run(self, verb: str, **more: str) -> tuple[int, str]:
        environment = {"PATH": "/usr/bin:/bin", "INVOCATION_ID": "1", **more}
        command = ["sh", str(self.place / "program"), verb]
        with open(self.place / "output", "w+") as output:  # what it leaves in the background holds a pipe open
            done = subprocess.run(command, env=environment, cwd=self.place, stdout=output, stderr=output, timeout=60,
                                  check=False)  # fmt: skip
            output.seek(0)
            return done.returncode, output.read()

    def under_way(self, port: int, new: int = 0) -> int:
        functions = self.text.partition("case $1 in")[0]
        done = subprocess.run(
            ["sh", "-c", f"{functions}\nunder_way {port} {new}"], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    @property
    def state(self) -> str:
        return (self.place / "state").read_text().strip()

    @property
    def calls(self) -> list[str]:
        return [line for line in (self.place / "calls").read_text().splitlines() if not line.startswith("docker")]


@contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server, server.getsockname()[1]


def connected(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(server.getsockname())
    return client, server.accept()[0]


def test_the_stand_in_is_begun_with_the_sandbox_of_the_unit(tmp_path: Path) -> None:
    with listening() as (_, port):
        host = Host(tmp_path, port)
        done = host.run("begin")
    assert host.state == "begun", done
    said = (host.place / "unit").read_text().splitlines()
    sandbox = UNIT[UNIT.index("# The sandbox") : UNIT.index("[Install]")]
    own = {"RootDirectory", "RootDirectoryStartOnly", "User", "BindPaths", "BindReadOnlyPaths", "StateDirectory",
           "StateDirectoryMode", "RemoveIPC"}  # fmt: skip
    lines = [line for line in sandbox.splitlines() if re.match(r"\w+=", line) and line.partition("=")[0] not in own]
    assert len(lines) > 20
    assert [line for line in lines if f"--property={line}" not in said] == []
    assert f"--property=ExecStopPost=+/bin/sh {host.place}/program clean" in said
    assert "--property=MemoryMax=2048M" in said
    assert not [line for line in said if "Restart" in line and "Restrict" not in line]
    assert said[-2] == (host.place / "port").read_text().strip()
    assert handover.PORTS.start <= int(said[-2]) < handover.PORTS.stop


@pytest.mark.parametrize(
    ("break_it", "state"),
    [
        ("touch place/inactive", "idle"),
        ("touch place/no-nat", "plain the kernel does not redirect connections"),  # moby/moby#48844
        ("sed -i 's/ss >/s-s >/' place/program", "plain nft or ss is not there"),
        ("sed -i 's/-ge 512/-ge 99999999/' place/program", "plain "),  # two of it do not fit
    ],
)  # fmt: skip
def test_what_cannot_be_handed_over_is_told(tmp_path: Path, break_it: str, state: str) -> None:
    with listening() as (_, port):
        host = Host(tmp_path, port)
        subprocess.run(break_it, shell=True, cwd=tmp_path, check=True)  # noqa: S602
        host.run("begin")
    assert host.state.startswith(state)
    assert not (host.place / "unit").exists()
    assert [call for call in host.calls if not call.startswith("nft -c")] == []


def test_a_gateway_that_is_to_have_another_port_is_not_handed_over(tmp_path: Path) -> None:
    host = Host(tmp_path, NEVER)
    host.run("begin")
    assert host.state == f"plain nothing listens on port {NEVER} now"


def test_what_is_under_way_is_told_from_what_is_not(tmp_path: Path) -> None:
    host = Host(tmp_path, NEVER)
    with listening() as (server, port):
        assert host.under_way(port) == 0
        # lalinsky/dusty#166, hasura/graphql-engine#7785, hyperium/hyper#2318: who only connects holds a shutdown up.
        silent, its = connected(server)
        assert (host.under_way(port), host.under_way(port, 1)) == (0, 1)
        silent.send(b"POST")
        assert host.under_way(port) == 1
        # It has said all that it will, and waits for the answer.
        silent.shutdown(socket.SHUT_WR)
        assert host.under_way(port) == 1
        # jcmoraisjr/haproxy-ingress#899: what was written is cut off, because the other side had not read it yet.
        assert its.recv(10) == b"POST"
        its.setblocking(False)
        try:
            while its.send(b"x" * 65536):
                pass
        except BlockingIOError:
            its.close()
        assert host.under_way(port) == 1
        while silent.recv(1 << 20):
            pass
        assert host.under_way(port) == 0
        # One that is accepted by nobody yet is under way: the kernel has taken its request.
        waiting = socket.create_connection(("127.0.0.1", port))
        waiting.send(b"POST")
        assert host.under_way(port) == 1
        waiting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        waiting.close()
        silent.close()


def hand(host: Host, standin: int) -> None:
    """Have it handed over, as the unit does; its main process is one that waits."""
    (host.place / "port").write_text(f"{standin}\n")
    (host.place / "state").write_text("begun\n")
    with subprocess.Popen(["sleep", "60"]) as main:
        host.run("hand", MAINPID=str(main.pid))


@pytest.mark.slow
def test_what_is_under_way_ends_before_the_restart_and_the_stand_in_after_it(tmp_path: Path) -> None:
    with listening() as (old, port), listening() as (_, standin):
        host = Host(tmp_path, port)
        client, server = connected(old)
        client.send(b"POST")
        over = subprocess.Popen(["sh", "-c", "sleep 5"])
        seen: list[str] = []
        (host.place / "port").write_text(f"{standin}\n")
        with subprocess.Popen(["sleep", "60"]) as main:
            command = ["sh", str(host.place / "program"), "hand"]
            with subprocess.Popen(command, env={"PATH": "/usr/bin:/bin", "MAINPID": str(main.pid)}) as process:
                while over.poll() is None:
                    time.sleep(0.5)
                    seen.append(host.state if (host.place / "state").exists() else "")
                assert "restart" not in host.calls, "it did not wait"
                client.close()
                server.close()
                assert process.wait(30) == 0
            assert main.wait(5) == -15
        assert "waits 1" in seen
        assert host.state == "restarted 0"
        assert (host.place / "said").read_text() == "its words\n"
        table = handover.TABLE
        # Not `destroy`: with the last chain of nat the kernel forgets what it has redirected (measured).
        assert host.calls[:3] == ["nft -f -", "restart", f"nft flush chain {table} output"]


@pytest.mark.slow
def test_a_restart_that_fails_is_told_and_who_takes_too_long_is_cut_off(tmp_path: Path) -> None:
    with listening() as (old, port), listening() as (_, standin):
        # docker-archive/dockercloud-haproxy#172: the old one hangs around for as long as one client likes.
        host = Host(tmp_path, port, drain=2)
        client, server = connected(old)
        client.send(b"POST")
        (host.place / "broken").touch()
        began = time.monotonic()
        hand(host, standin)
        assert time.monotonic() - began < 30
        client.close()
        server.close()
    assert host.state == "restarted 1"


@pytest.mark.slow
@pytest.mark.slow
def test_a_port_on_which_nobody_listens_any_more_is_sent_nothing(tmp_path: Path) -> None:
    # 011-sam-110/Provenance#196: the port is shut for as long as the last requests take.
    with listening() as (_, port):
        host = Host(tmp_path, port)
        hand(host, NEVER)
    assert f"nft destroy table {handover.TABLE}" in host.calls
    assert "restart" not in host.calls, "nobody would answer meanwhile, and nobody would be told"


@pytest.mark.parametrize(
    ("state", "then"),
    [
        ("begun", "plain it did not come up: the image is not there"),
        ("waits 3", "plain its stand-in has ended before its time"),
        ("restarted 0", "restarted 0"),
    ],
)
def test_whatever_ends_it_leaves_no_table(tmp_path: Path, state: str, then: str) -> None:
    # miniupnp/miniupnp#791: rules outlive the program that has made them.
    host = Host(tmp_path, NEVER)
    (host.place / "state").write_text(f"{state}\n")
    host.run("clean")
    assert host.calls[0] == f"nft destroy table {handover.TABLE}"
    assert host.state == then
    (host.place / "read").touch()
    host.run("clean")
    assert not host.place.exists()


@pytest.mark.parametrize(
    ("told", "looks"),
    [
        (["activating", "mine", "waits 7"], (True, True, "waits", "7")),
        (["activating", "theirs", "waits 7"], (True, False, "waits", "7")),  # basecamp/kamal#1449: one drains already
        (["no", "mine", "plain it did not come up: x y"], (False, True, "plain", "it did not come up: x y")),
        (["no"], (False, True, "plain", "the host does not say why")),
        ([], (False, True, "plain", "the host does not say why")),
    ],
)
def test_how_far_it_is_is_read(told: list[str], looks: tuple[bool, bool, str, str]) -> None:
    assert operation.read(told, "mine") == looks


IN_A_NETWORK_OF_ITS_OWN = r"""
import socket, subprocess, sys, threading
functions = sys.stdin.read()

def serve(port, name):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    def answer(connection):
        while data := connection.recv(9):
            connection.sendall(name + data)
    def go():
        while True:
            threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
    threading.Thread(target=go, daemon=True).start()

def sh(text):
    subprocess.run(["sh", "-c", f"{functions}\n{text}"], check=True)

def open_(source=None):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.settimeout(5)
    if source:
        client.bind(("127.0.0.1", source))
    client.connect(("127.0.0.1", 4000))
    return client

def asks(client):
    client.sendall(b"?")
    return client.recv(9).decode()

serve(4000, b"old"), serve(24100, b"new")
sh("ip link set lo up")
old = open_()
said = ["before", asks(old)]
sh("rules | nft -f -")
new, again = open_(), open_(5555)
said += ["redirected", asks(new), asks(again), "one of before", asks(old)]
again.close()
sh("nft flush chain inet signalbox_handover output")
said += ["given back", asks(open_()), "from the same port", asks(open_(5555)), "the others", asks(new), asks(old)]
sh("rules | nft -f -; nft flush ruleset")
said += ["all tables flushed", asks(open_()), asks(old)]
print(" ".join(said))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own needs root")
def test_the_kernel_redirects_what_begins_and_nothing_else(tmp_path: Path) -> None:
    """haproxy/haproxy#3472 (a client takes its port again), firewalld/firewalld#742 (all tables are flushed)."""
    host = Host(tmp_path, 4000)
    (host.place / "port").write_text("24100\n")
    (tmp_path / "bin/nft").unlink()
    functions = host.text.partition("case $1 in")[0]
    done = subprocess.run(["unshare", "--net", "python3", "-c", IN_A_NETWORK_OF_ITS_OWN],
                          input=functions, capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert done.stdout.split("\n")[0] == (
        "before old? redirected new? new? one of before old? given back old? from the same port old?"
        " the others new? old? all tables flushed old? old?"
    ), done.stderr
