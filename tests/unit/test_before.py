"""What a host does for people before us: its sockets and its containers, as the kernel tells them."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from signalbox.facts import Placed
from signalbox.facts.before import Listener, Listeners, RootEngine, listeners_of, unheard
from signalbox.facts.in_effect import SshdJail, SysctlAtBoot, Upgrades, Value
from signalbox.facts.units import SystemUnits, Unit
from signalbox.shell import Script
from signalbox.shell.answer import UnreadableError
from signalbox.shell.originals import is_as_placed
from tests.answers import answered

RANGE = ("range", "32768", "60999")


def run(command: Script) -> list[str]:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split("\n")


@contextmanager
def bound(kind: socket.SocketKind, address: str, port: int = 0, family: int = socket.AF_INET) -> Iterator[str]:
    """Have a socket of this process wait there; yields its port as facts name it."""
    with socket.socket(family, kind) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, port))
        if kind == socket.SOCK_STREAM:
            one.listen()
        yield f"{'tcp' if kind == socket.SOCK_STREAM else 'udp'}/{one.getsockname()[1]}"


def test_who_listens_is_told_with_program_and_user_but_not_on_the_loopback() -> None:
    with (
        bound(socket.SOCK_STREAM, "0.0.0.0") as four,  # noqa: S104 (that is what is looked for)
        bound(socket.SOCK_STREAM, "::", family=socket.AF_INET6) as six,
        bound(socket.SOCK_DGRAM, "0.0.0.0") as datagrams,  # noqa: S104
        bound(socket.SOCK_STREAM, "127.0.0.1") as private,
        bound(socket.SOCK_STREAM, "::1", family=socket.AF_INET6) as private_six,
    ):
        found = {each.port: each for each in Listeners().process(run(Listeners().command()))}
        assert {private, private_six} & set(found) == set()
        for port in (four, six, datagrams):
            assert "python" in found[port].program or "pytest" in found[port].program
            assert found[port].user == "root" or os.geteuid()
        assert (found[four].passing, found[datagrams].passing) == (False, True)
    assert four not in {each.port for each in Listeners().process(run(Listeners().command()))}


@pytest.mark.parametrize(
    ("record", "port", "said"),
    [
        (("tcp", "00000000:01BD", "root", "smbd of smbd.service", "process"), "tcp/445",
         "tcp/445 (smbd of smbd.service)"),
        (("tcp6", "00000000000000000000000000000000:1538", "postgres", "postgres", "process"), "tcp/5432",
         "tcp/5432 (postgres, user postgres)"),
        (("raw", "00000000:0070", "root", "keepalived of keepalived.service", "process"), "ip/112",
         "ip/112 (keepalived of keepalived.service)"),
        (("raw", "00000000:002F", "root", "gre1", ""), "ip/47", "ip/47 (gre1)"),
        # A tunnel of the kernel's own, at a port that clients have too.
        (("udp", "00000000:CA6C", "root", "", ""), "udp/51820", "udp/51820 (a program)"),
    ],
)  # fmt: skip
def test_a_listener_for_people(record: tuple[str, ...], port: str, said: str) -> None:
    (found,) = listeners_of([RANGE, ("socket", *record)])
    assert (found.port, str(found), found.passing) == (port, said, False)


@pytest.mark.parametrize(
    "record",
    [
        ("tcp", "0100007F:01BD", "root", "x", "process"),
        ("tcp6", "0000000000000000FFFF00000100007F:01BD", "root", "x", "process"),  # ::ffff:127.0.0.1
        ("udp", "00000000:0044", "root", "dhclient", "process"),
        ("udp", "FB0000E0:14E9", "root", "x", "process"),  # 224.0.0.251
        ("raw", "00000000:0001", "root", "ping", "process"),
        ("raw6", "0" * 32 + ":003A", "root", "radvd", "process"),
        ("raw", "00000000:00FF", "root", "sends", "process"),
    ],
)
def test_nobody_is_cut_off_from_these(record: tuple[str, ...]) -> None:
    assert listeners_of([RANGE, ("socket", *record)]) == []


def test_who_agrees_on_ipsec_is_reached_by_its_packets_too() -> None:
    found = listeners_of([RANGE, ("socket", "udp", "00000000:01F4", "root", "charon", "process")])
    assert [str(each) for each in found] == ["udp/500 (charon)", "ip/50 (charon)"]


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
def test_a_raw_socket_is_told_by_its_protocol() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 112):
        found = {each.port: each for each in Listeners().process(run(Listeners().command()))}
        assert "py" in found["ip/112"].program
    assert "ip/112" not in {each.port for each in Listeners().process(run(Listeners().command()))}


@pytest.mark.parametrize(
    ("fact", "given"),
    [
        (Listeners, {}),
        (RootEngine, {"units": ("docker.service",)}),
        (Placed, {"path": "/etc/hosts", "kind": "file"}),
    ],
)
def test_a_host_whose_perl_fails_has_not_told_that_nothing_is_there(fact: Any, given: dict[str, Any]) -> None:
    command = str(fact().command(**given)).replace("/usr/bin/perl", "/bin/false")
    with pytest.raises(UnreadableError):
        fact().process(run(Script(command)))


def test_what_is_no_address_is_no_answer() -> None:
    with pytest.raises(UnreadableError):
        listeners_of([RANGE, ("socket", "tcp", "0:zz", "root", "", "")])


def test_only_what_is_let_in_is_heard() -> None:
    web, shares = Listener("tcp/80", "root"), Listener("tcp/445", "root")
    assert unheard([web, shares], {"tcp/80", "tcp/22"}) == [shares]


@pytest.mark.skipif(os.geteuid() != 0, reason="a container of root's is root's")
def test_a_container_is_seen_by_its_shim_though_no_engine_answers() -> None:
    ident = "c0ffee" * 10 + "abcd"
    shim = ["containerd-shim-runc-v2", "-c", "sleep 30; :", "-namespace", "moby", "-id", ident]
    with subprocess.Popen(shim, executable="/bin/sh", start_new_session=True) as process:
        try:
            time.sleep(0.3)
            found = RootEngine().process(run(RootEngine().command(units=("no-such.service",))))
            assert f"{ident[:12]} of moby" in found.containers
            assert found.running == ()
        finally:
            os.killpg(process.pid, 9)


def test_docker_gives_containers_their_names() -> None:
    told = answered("unit", "docker.service", "container", "moby", "a" * 64, "container", "k8s.io", "b" * 64,
                    "names", f"{'a' * 64} web\nnot a line\n")  # fmt: skip
    assert RootEngine().process(told).containers == (f"{'b' * 12} of k8s.io", "web")


# ---- who has the last word ----


def test_the_last_file_has_its_word_on_the_kernels_settings() -> None:
    config = "# /usr/lib/sysctl.d/50-default.conf\nkernel.sysrq = 1\n-net.ipv4.conf.*.x = 1\n"
    config += "# /etc/sysctl.d/99-x.conf\n; kernel.sysrq=9\nkernel/sysrq=0\nnet/ipv4/conf/eth0.1/rp_filter = 2\n"
    assert SysctlAtBoot().process(answered("config", config)) == {
        "kernel.sysrq": Value("0", "/etc/sysctl.d/99-x.conf"),
        "net.ipv4.conf.eth0.1.rp_filter": Value("2", "/etc/sysctl.d/99-x.conf"),
    }


def test_upgrades_are_off_by_a_setting_or_a_timer() -> None:
    said = "apt.conf.d/20auto-upgrades:Unattended-Upgrade\napt.conf.d/99off:Unattended-Upgrade\n"
    told = ("value", "Unattended-Upgrade", "0", "value", "Enable", "", "said", said, "timers", "masked\nstatic\n")
    found = Upgrades().process(answered(*told))
    assert found["Unattended-Upgrade"] == Value("0", "/etc/apt/apt.conf.d/99off")
    assert found["apt-daily.timer"].value == "masked"
    assert found["apt-daily-upgrade.timer"].value == "enabled"
    assert "Enable" not in found


def test_a_later_jail_is_read_as_fail2ban_would_start_it() -> None:
    commands = "['set', 'syslogsocket', 'auto']\n['add', 'sshd', 'systemd']\n['set', 'sshd', 'maxretry', 500]\n"
    commands += "['set', 'sshd', 'bantime', '10m']\n['set', 'web', 'maxretry', 1]\n[__import__('os')]\n"
    where = "/etc/fail2ban/jail.d/zz.local"
    assert SshdJail().process(answered("files", "zz.local", "jail", commands)) == {
        "enabled": Value("false", where),
        "maxretry": Value("500", where),
        "bantime": Value("600", where),
    }
    assert SshdJail().process(answered()) == {}
    assert SshdJail().process(answered("files", "zz.local", "jail", "")) == {}  # it is not installed yet


def test_a_units_own_drop_ins_are_told_apart_from_those_of_every_unit() -> None:
    own, every = "/etc/systemd/system/a.service.d/x.conf", "/usr/lib/systemd/system/service.d/10-all.conf"
    told = answered(f"Id=a.service\nActiveState=active\nDropInPaths={every} {own}\nOther=x y\n")
    assert SystemUnits().process(told) == {"a.service": Unit(active=True, drop_ins=(own,))}


def test_what_lies_there_as_placed_is_known_of_roots_files_too(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("ours\n")

    def same(digest: str) -> bool:
        look = ["sh", "-c", is_as_placed(str(file), digest)]
        done = subprocess.run(look, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode == 0

    assert same(hashlib.sha256(b"ours\n").hexdigest())
    assert not same("0" * 64)
