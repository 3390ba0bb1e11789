"""Ways in which the service user may try to get past the egress filter, and what another host sees of each."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drills import looks
from tests.drills.stage import HOST
from tests.drills.tampers import OUR_GATEWAY_KEY
from tests.lab import access, hosts
from tests.lab.instance import Lab
from tests.lab.machine import wait_until

RULES = "/etc/signalbox/firewall.nft"
ALLOWED = 40099  # a port of the other host that the settings let the user reach
JUMP, UNSHARE = "a connection through the host by ssh -W", "a subordinate id, TCP"
_SEND, _WATCH, _OUTPUT = "/run/drill-send.py", "/run/drill-watch.py", "/run/drill-output"
LATER, NUMBERED = 900000, 910000  # ids that it is given while the rules are loaded
_DOCKER = "DOCKER_HOST=unix:///run/user/$(id -u)/docker.sock docker run --rm"
_IN_CONTAINER = "drill timeout 3 bash -c 'exec 3<>/dev/tcp/{four}/{port}'"
_SUBORDINATE = "unshare --user --map-auto --setuid={}"
_MAPPED = "unshare --user --map-users=0:{first}:10 --setuid=5"
# As cron runs a job of the user: not in its sessions.
_OUTSIDE = "systemd-run --quiet --wait --collect --uid=claude"
# As sudo runs a program: in them.
_BESIDE = "systemd-run --quiet --wait --collect --slice=user-$(id -u claude).slice"


@dataclass(frozen=True)
class Way:
    """One way out.

    does: shell; {send} sends, {n} is its number, {port} the port that tells of it, {four} and {six} are the other
    host's addresses. user: who does it on the host.
    """

    name: str
    does: str
    user: str = "claude"


WAYS = (
    Way("TCP", "{send} tcp {n} {four}"),
    Way("TCP over IPv6", "{send} tcp {n} {six}"),
    Way("an IPv4 address in IPv6", "{send} tcp {n} ::ffff:{four}"),
    Way("data with the first packet (TCP Fast Open)", "{send} fastopen {n} {four}"),
    Way("MPTCP", "{send} mptcp {n} {four}"),
    Way("UDP", "{send} udp {n} {four}"),
    Way("a name server that is not the host's", "{send} udp {n} {four} 53"),
    Way("UDP in fragments", "{send} fragments {n} {four}"),
    Way("UDP-Lite", "{send} udplite {n} {six}"),
    Way("broadcast", "{send} broadcast {n} 255.255.255.255"),
    Way("multicast", "{send} udp {n} ff02::1%host0"),
    Way("ping", "ping -c1 -W1 -p $(printf 'way-{n}.' | od -An -tx1 | tr -d ' ') {four}"),
    Way("a routing header behind an address that is allowed", f"{{send}} routed {{n}} {{six}} {ALLOWED}"),
    Way("a service of its manager", "systemd-run --user --quiet --wait {send} tcp {n} {four}"),
    Way(JUMP, ""),  # it is made from here
    Way("root of a user namespace", "unshare --user --map-root-user {send} tcp {n} {four}"),
    Way(UNSHARE, "unshare --user --map-auto --setuid=5 {send} tcp {n} {four}"),
    Way("a subordinate id, UDP over IPv6", "unshare --user --map-auto --setuid=5 {send} udp {n} {six}"),
    Way("a subordinate id, MPTCP", "unshare --user --map-auto --setuid=5 {send} mptcp {n} {four}"),
    Way("the last subordinate id", "unshare --user --map-auto --setuid=65535 {send} tcp {n} {four}"),
    Way(
        "a subordinate id of a namespace in a namespace",
        "unshare --user --map-auto --setuid=0 --setgid=0 unshare --user --map-root-user {send} tcp {n} {four}",
    ),
    Way(
        "a subordinate id outside its sessions",
        f"{_OUTSIDE} unshare --user --map-auto --setuid=5 {{send}} tcp {{n}} {{four}}",
        "root",
    ),
    Way("an id that it was given since", f"{_MAPPED.format(first=LATER)} {{send}} tcp {{n}} {{four}}"),
    Way("an id that its number was given since", f"{_MAPPED.format(first=NUMBERED)} {{send}} tcp {{n}} {{four}}"),
    Way("a container", f"{_DOCKER} {_IN_CONTAINER}"),
    Way("a container of another id", f"{_DOCKER} --user 5 {_IN_CONTAINER}"),
    Way("a container in its host's network", f"{_DOCKER} --network host --user 5 {_IN_CONTAINER}"),
    Way("a connection that is older than the rules", ""),  # it goes on all the time
)  # fmt: skip
# What must come out all the same; it also shows each time that the watch sees.
FREE = (
    Way("an allowed place, by a subordinate id", f"{_SUBORDINATE.format(5)} {{send}} udp {{n}} {{six}} {ALLOWED}"),
    Way("root", "{send} tcp {n} {four}", "root"),
    Way("root in the user's sessions", f"{_BESIDE} {{send}} tcp {{n}} {{four}}", "root"),
    Way("apt's own user in its sessions", f"{_BESIDE} --uid=_apt {{send}} tcp {{n}} {{four}}", "root"),
    Way("the gateway's user", "runuser -u litellm -- {send} tcp {n} {four}", "root"),
    Way(
        "a subordinate id of the gateway's user",
        "runuser -u litellm -- unshare --user --map-auto --setuid=5 {send} tcp {n} {four}",
        "root",
    ),
)  # fmt: skip


def by_uid_alone(rules: str) -> str:
    """Return the rules without what holds more than the user's own id, and packets of connections that go on."""
    kept = [line for line in rules.splitlines() if not re.search(r"@sessions|ip option|exthdr rt", line)]
    alone, count = re.subn(r"meta skuid \{.*?\}", 'meta skuid "claude"', "\n".join(kept))
    alone, again = re.subn("ct direction reply accept", "ct state { established, related } accept", alone)
    assert count == again == 1, rules
    return f"{alone}\n"


@contextmanager
def ids_given() -> Iterator[None]:
    """Have root give the user two more ranges of ids, one by its number."""
    files = "/etc/subuid /etc/subgid"
    given = f"claude:{LATER}:10\\n%s:{NUMBERED}:10\\n"
    looks.answer(f"for f in {files}; do cp -a $f $f.drill; printf '{given}' $(id -u claude) >> $f; done", user="root")
    try:
        yield
    finally:
        looks.answer(f"for f in {files}; do mv $f.drill $f; done", user="root")


def place(other: str) -> None:
    """Have on both hosts what sends and what watches."""
    here = Path(__file__)
    sender = here.with_name("send.py").read_text()
    hosts.run(HOST, f"cat > {_SEND} && chmod 755 {_SEND}", stdin=sender)
    hosts.run(other, f"cat > {_WATCH}", stdin=here.with_name("watch.py").read_text())


def came_out(other: str, load: str) -> list[str]:
    """Load rules with this shell line while a connection goes on, try every way, and return those `other` has seen.

    What must come out is tried with them: AssertionError where it does not.
    """
    four, six = hosts.address(other), hosts.address(other, 6)
    looks.answer("nft destroy table inet signalbox", user="root")
    going_on = f"{_SEND} goes-on {len(WAYS)} {four} 8080"
    with _running("drill-older", going_on, "connected", HOST, "--uid=claude"):
        looks.answer(load, user="root")
        with _watched(other) as seen:
            for number, way in enumerate((*WAYS, *FREE), 1):
                line = way.does.format(send=f"python3 {_SEND}", n=number, port=40000 + number, four=four, six=six)
                if way.name == JUMP:
                    _jump(four, 40000 + number)
                elif line:
                    hosts.run(HOST, line, user=way.user, check=False, timeout=60)
            found = seen()
    came = [way for number, way in enumerate((*WAYS, *FREE), 1) if number in found]
    stopped = [way.name for way in FREE if way not in came]
    assert not stopped, f"must come out and does not: {stopped}"
    return [way.name for way in WAYS if way in came]


def fetched(other: str) -> bool:
    """Have the user ask the gateway about an image at an address, and return whether `other`, who has it, saw that.

    LiteLLM asks only addresses of the internet, so `other` has one for the while (of RFC 7526, which nobody uses).
    AssertionError unless the gateway's user itself reaches it.
    """
    address, asked, itself = "192.88.99.1", 41, 42
    parts = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": f"http://{address}:{40000 + asked}/image.png"}},
    ]
    body = {"model": "claude-sonnet", "max_tokens": 64, "messages": [{"role": "user", "content": parts}]}
    where = "http://127.0.0.1:4000/v1/chat/completions"
    ask = f"curl -s -m 30 -H @- -H 'content-type: application/json' {where} -d {looks.quoted(json.dumps(body))}"
    looks.answer(f"ip addr replace {address}/32 dev lo", host=other, user="root")
    looks.answer(f"ip route replace {address}/32 via {hosts.address(other)}", user="root")
    try:
        with _watched(other) as seen:
            told = looks.answer(f"printf 'Authorization: Bearer %s' \"$({OUR_GATEWAY_KEY})\" | {ask}", user="root")
            send = f"runuser -u litellm -- python3 {_SEND} tcp {itself} {address}"
            hosts.run(HOST, send, check=False, timeout=30)
            found = seen()
    finally:
        looks.answer(f"ip route del {address}/32", user="root")
        looks.answer(f"ip addr del {address}/32 dev lo", host=other, user="root")
    assert itself in found, f"the gateway's user does not reach {address}"
    assert "error" in json.loads(told), told
    return asked in found


@contextmanager
def _watched(other: str) -> Iterator[Callable[[], set[int]]]:
    """Have `other` watch the cable, and give what returns the numbers that it has seen by then."""
    mac = looks.answer("cat /sys/class/net/host0/address", user="root")

    def seen() -> set[int]:
        time.sleep(1)
        return {int(line) for line in looks.answer(f"cat {_OUTPUT}", host=other, user="root").split() if line.isdigit()}

    with _running("drill-watch", f"{_WATCH} {mac}", "watching", other):
        yield seen


@contextmanager
def _running(name: str, program: str, word: str, host: str, *options: str) -> Iterator[None]:
    """Run a program of ours on the host as a unit, from when it has said `word`."""
    unit = (
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={name}",
        f"--property=StandardOutput=file:{_OUTPUT}",
        *options,
    )
    looks.answer(f"rm -f {_OUTPUT}; {' '.join(unit)} python3 {program}", host=host, user="root")
    try:
        said = f"grep -q {word} {_OUTPUT}"
        assert wait_until(lambda: not hosts.run(host, said, check=False).returncode, 10, 0.2), f"{program} says nothing"
        yield
    finally:
        hosts.run(host, f"systemctl stop {name}.service", check=False)


def _jump(address: str, port: int) -> None:
    line = access.ssh(Lab.current(), HOST, "claude", "-W", f"{address}:{port}")
    subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
