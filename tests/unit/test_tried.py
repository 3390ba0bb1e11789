"""Rules tried by packets: the kernel's own verdict, and nothing left of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from signalbox.desired.firewall import TABLE, input_rules
from signalbox.desired.render import render
from signalbox.facts.tried import Heard
from tests.answers import answered

LAN, OUT = "10.1.2.3", "203.0.113.7"
SIX, OUT_SIX = "fd00::7", "2001:db8::1"
ALL = (LAN, OUT, SIX, OUT_SIX)
# What is tried needs a way by which answers go: this machine may have none for IPv6.
IP = """#!/bin/sh
case "$*" in
*-batch*) while read -r _ _ address; do echo "$address via 192.0.2.1 dev eth7 src 192.0.2.2"; done ;;
*) exec /usr/sbin/ip "$@" ;;
esac
"""
needs_kernel = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/net/tun").exists() or not Path("/usr/sbin/nft").exists(),
    reason="needs root, nft and /dev/net/tun",
)


def rules(networks: Sequence[str] | None, interfaces: Sequence[str] = (), port: int = 22) -> str:
    incoming = input_rules(networks, [port], interfaces, {})
    return render("firewall/firewall.nft", table=TABLE, rules=incoming, egress=None, deploy=None)


def heard(table: str, tmp_path: Path, ip: str = IP) -> dict[str, bool]:
    (tmp_path / "ip").write_text(ip)
    (tmp_path / "ip").chmod(0o755)
    command = str(Heard().command(rules=table, addresses=ALL, ports=[22, 2222]))
    command = command.replace("PATH=/", f"PATH={tmp_path}:/", 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    return Heard().process(done.stdout.split("\n"))


@needs_kernel
@pytest.mark.parametrize(
    ("table", "let_in"),
    [
        (rules(["10.0.0.0/8", "fd00::/8"]), {LAN, SIX}),
        (rules(None), set(ALL)),
        (rules(None, ["eth7"]), set(ALL)),
        # An address that the settings let in, by an interface that they do not.
        (rules(None, ["wg0"]), set()),
        (rules(None, port=2222), set(ALL)),
        (rules(None, port=2200), set()),
    ],
)
def test_packets_tell_whom_the_rules_let_in(table: str, let_in: set[str], tmp_path: Path) -> None:
    assert heard(table, tmp_path) == {address: address in let_in for address in ALL}


@needs_kernel
def test_who_comes_from_the_host_itself_is_let_in_by_every_rule(tmp_path: Path) -> None:
    own = IP.replace("via 192.0.2.1 dev eth7", "dev lo").replace('echo "', 'echo "local ')
    assert heard(rules([]), tmp_path, own) == dict.fromkeys(ALL, True)


@needs_kernel
@pytest.mark.parametrize(
    ("table", "ip"), [("no rules", IP), (rules(None), "#!/bin/sh\n"), (rules(None), "#!/bin/sh\nexit 1\n")]
)
def test_what_could_not_be_tried_is_neither_heard_nor_unheard(table: str, ip: str, tmp_path: Path) -> None:
    assert heard(table, tmp_path, ip) == {}


def test_a_host_without_nft_has_tried_nothing() -> None:
    command = str(Heard().command(rules=rules(None), addresses=ALL, ports=[22])).replace("nft -f", "no-such-nft -f")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert Heard().process(done.stdout.split("\n")) == {}


def test_an_answer_that_breaks_off_calls_nobody_unheard() -> None:
    told = "set heard4 {\n\ttype ipv4_addr\n\telements = { 10.1.2.3,\n\t\t10.1.2.4 }\n}\n"
    assert Heard().process(answered(told)) == {}
    whole = told + "set sent4 {\n\telements = { 10.1.2.3, 10.1.2.4,\n 10.1.2.5 }\n}\n"
    assert Heard().process(answered(whole)) == {"10.1.2.3": True, "10.1.2.4": True, "10.1.2.5": False}


def namespaces() -> set[str]:
    """Return the network namespaces of all processes."""
    found = set[str]()
    for each in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(each))
        except OSError:
            continue
    return found


@needs_kernel
def test_killed_it_leaves_no_namespace_behind(tmp_path: Path) -> None:
    told = tmp_path / "namespace"
    (tmp_path / "nft").write_text(
        f"#!/bin/sh\nreadlink /proc/self/ns/net > {told}.new; mv {told}.new {told}; sleep 3\n"
    )
    (tmp_path / "nft").chmod(0o755)
    command = str(Heard().command(rules=rules(None), addresses=ALL, ports=[22]))
    with subprocess.Popen(["sh", "-c", command.replace("PATH=/", f"PATH={tmp_path}:/", 1)]) as process:
        assert within(10, told.exists)
        process.kill()
    made = told.read_text().strip()
    assert made in namespaces()
    assert within(10, lambda: made not in namespaces())


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Return whether this holds before so many seconds have passed."""
    deadline = time.monotonic() + seconds
    while not (now := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return now
