"""The private lane: what leaves a host while somebody works in it, seen on the wire."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.drills import failures, looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "private",
    "nothing leaves a private lane",
    "All faults and all ways of asking for another model: not one packet of the host goes to a cloud (an egress log, "
    "not only the simulators' own), and the person gets an error that says why.",
)

TABLE = "drill_egress"
CLOUDS = ("anthropic", "foundry", "mistral")
CLAUDE = "CLAUDE_CODE_MAX_RETRIES=1 timeout 100 claude-local --private"
AGENT = """--agents '{"one": {"description": "x", "prompt": "x", "model": "opus"}}'"""
DISPATCH = json.dumps({"description": "x", "prompt": "say hello", "subagent_type": "one", "run_in_background": False})
SUBAGENT = "a subagent that wants opus"
WAYS = {
    "say hello": "-p 'say hello'",
    "--model sonnet": "--model sonnet -p 'say hello'",
    "--model opus": "--model opus -p 'say hello'",
    "--model haiku": "--model haiku -p 'say hello'",
    "--model claude-sonnet-4-6": "--model claude-sonnet-4-6 -p 'say hello'",
    "--fallback-model claude-haiku-4-5": "--fallback-model claude-haiku-4-5 -p 'say hello'",
    "/model opus": "-p '/model opus'",
    "an agent that wants opus": f"{AGENT} --agent one -p 'say hello'",
    SUBAGENT: f"""{AGENT} -p 'call the tool "Agent" with {DISPATCH}'""",
}
SILENCE = 6  # seconds until Claude Code gives a silent server up; nobody waits here for the default
# What of a fault the person must read, in Claude Code's own words or the server's.
WORDS = {
    "refuse": r"(?i)refused|unable to connect|does not answer",
    "401": r"(?i)401|api key|auth",
    "429": r"(?i)429|rate|limit|repeated",
    "500": r"(?i)500|internal|crash",
    "503": r"(?i)503|unavailable|overloaded",
    "drop": r"(?i)connection|closed|socket|reset",
    "overflow": r"(?i)n_ctx|context|too long",
    "cut": r"(?i)connection|closed|socket|terminated|incomplete|stream",
    "hang": r"(?i)time|timed out|connection",
    "stall": r"(?i)idle|timed? ?out|stall|stream|connection",
    "off": r"(?i)does not answer|timed out|connect",
    "unload": r"n_ctx|context",  # it loads the model again, with 4096 tokens: fewer than Claude Code asks with
}
ANSWERED = r"Hello from simulated LM Studio"


class Egress:
    """Where the host's packets go, by its own kernel: address, protocol and port.

    root's, the clock's, and connections that were there before are left out; on those, the clouds' own logs tell.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        server = stage.simulators.servers()["lmstudio"]
        self._local = (str(server["bind"]), "tcp", str(server["port"]))

    def seen(self) -> set[tuple[str, str, str]]:
        """Return everything that the host has sent to."""
        listed = looks.answer(f"nft list table inet {TABLE}", user="root")
        return set(re.findall(r"([0-9a-f.:]+) \. (tcp|udp) \. (\d+)", listed))

    def elsewhere(self) -> set[tuple[str, str, str]]:
        """Return all but the local model server; a question to a name server is among it."""
        asked = {
            (each["server"], each["method"], each["path"])
            for each in self._stage.simulators.requests()
            if each["server"] in CLOUDS and each["client"] == hosts.address(HOST)  # other hosts are up, too
        }
        return (self.seen() - {self._local}) | asked


@contextmanager
def egress(stage: Stage) -> Iterator[Egress]:
    """Log where the host's packets go, IPv4 and IPv6, the loopback aside.

    Connections to clouds that the gateway keeps open for its other lanes are ended first: their end is packets, too.
    The doctor's timer rests: it looks whether the clouds are there, whoever works in which lane.
    """
    ports = {server["port"] for name, server in stage.simulators.servers().items() if name in CLOUDS}
    those = " or ".join(f"dport = :{port}" for port in sorted(ports))
    looks.answer(f"ss -K -Htn '( {those} )'", user="root")
    assert wait_until(lambda: not looks.answer(f"ss -Htn '( {those} )'", user="root"), 60, 0.5), "a cloud is kept open"
    looks.answer("systemctl --user stop claude-doctor.timer claude-doctor.service")
    looks.answer(f"nft -f - <<'END'\n{RULES}\nEND", user="root")
    try:
        yield Egress(stage)
    finally:
        looks.answer(f"nft delete table inet {TABLE}", user="root")
        looks.answer("systemctl --user start claude-doctor.timer")


RULES = f"""
table inet {TABLE} {{
    set seen4 {{ type ipv4_addr . inet_proto . inet_service; flags dynamic; }}
    set seen6 {{ type ipv6_addr . inet_proto . inet_service; flags dynamic; }}
    chain sent {{
        type filter hook output priority 0
        oifname "lo" accept
        ct state established,related accept
        meta skuid {{ root, systemd-timesync }} accept
        meta nfproto ipv4 meta l4proto {{ tcp, udp }} add @seen4 {{ ip daddr . meta l4proto . th dport }}
        meta nfproto ipv6 meta l4proto {{ tcp, udp }} add @seen6 {{ ip6 daddr . meta l4proto . th dport }}
    }}
}}"""


def _nothing_left(log: Egress, what: str) -> None:
    assert log.seen(), "the log holds nothing at all: it does not see this host"
    assert not log.elsewhere(), f"{what}: packets went to {sorted(log.elsewhere())}"


def _ways(stage: Stage, names: tuple[str, ...]) -> Figures:
    figures = {}
    with egress(stage) as log:
        for name in names:
            stage.simulators.clear()
            done = hosts.run(HOST, f"{CLAUDE} {WAYS[name]}", user="claude", check=False, timeout=120)
            _nothing_left(log, name)
            told = (done.stdout.strip() or done.stderr.strip()).splitlines()
            assert told, f"{name}: nobody says anything"
            assert name != SUBAGENT or "Hello from" in done.stdout, f"no subagent ran: {done.stdout}"
            figures[name] = f"{' '.join(told)[:80]}; nothing left"
    return figures


@drill.cell("quick", fixed=True)
def quick(stage: Stage) -> Figures:
    """Work in the private lane and ask for a cloud's model: nothing leaves; in the cloud lane something does."""
    stage.converged()
    figures = _ways(stage, ("say hello", "--model sonnet"))

    def cloud_lane() -> None:
        with egress(stage) as log:
            looks.answer("claude-cloud -p 'say hello'")
            _nothing_left(log, "claude-cloud")

    return {**figures, "control": must_fail(cloud_lane, "the lane claude-cloud")}


FETCH = json.dumps({"url": "https://intranet.example/page", "prompt": "x"})
WEB = (f'call the tool "WebFetch" with {FETCH}', 'call the tool "WebSearch" with {"query": "intranet.example"}')


@drill.cell("web")
def web(stage: Stage) -> Figures:
    """Who asks for a page or a search is told that there is none here, and no name of a host is asked for anywhere.

    Claude Code would ask its vendor about each host first, past the base URL: the name of an intranet's page.
    """
    stage.converged()
    figures = {}

    def names_asked(command: str) -> str:
        """Return what was said, with no question to a name server in the host's own log."""
        with egress(stage) as log:
            done = hosts.run(HOST, command, user="claude", check=False, timeout=120)
            asked = [each for each in log.elsewhere() if each[2] == "53"]
            assert not asked, f"names were asked for: {asked}"
            if "--private" in command:
                _nothing_left(log, command)
        return " ".join((done.stdout or done.stderr).split())

    for asks in WEB:
        said = names_asked(f"{CLAUDE} -p {looks.quoted(asks)} --allowedTools WebFetch,WebSearch")
        assert ANSWERED in said or "disabled" in said or "no such tool" in said.lower(), said
        figures[asks[:30]] = f"{said[:100]}; nothing left"

    def cloud_lane() -> None:
        names_asked(f"timeout 100 claude-cloud -p {looks.quoted(WEB[0])} --allowedTools WebFetch")

    return {**figures, "control": must_fail(cloud_lane, "the lane claude-cloud, which may fetch")}


PROXY = """
import socket
asked = open("/run/drill-proxy", "a", buffering=1)
with socket.create_server(("127.0.0.1", 3128)) as server:
    while True:
        client, _ = server.accept()
        with client:
            asked.write(client.recv(4096).decode(errors="replace").partition("\\r")[0] + "\\n")
            client.sendall(b"HTTP/1.1 403 Forbidden\\r\\n\\r\\n")
"""


@drill.cell("vendor")
def vendor(stage: Stage) -> Figures:
    """A lane without a cloud's model asks Claude Code's vendor nothing, past the gateway; others ask once a start."""
    stage.converged()
    hosts.run(
        HOST, "cat > /tmp/drill-proxy.py; systemd-run -q --unit drill-proxy python3 /tmp/drill-proxy.py", stdin=PROXY
    )

    def asked(lane: str) -> list[str]:
        hosts.run(HOST, "truncate -s 0 /run/drill-proxy")
        command = f"HTTPS_PROXY=http://127.0.0.1:3128 timeout 100 {lane} -p 'say hello'; sleep 3"
        said = hosts.run(HOST, command, user="claude", check=False, timeout=130).stdout
        assert "Hello from" in said, said
        return looks.answer("cat /run/drill-proxy", user="root").splitlines()

    def nothing(lane: str) -> None:
        found = asked(lane)
        assert not found, f"{lane}: {found}"

    try:
        assert wait_until(lambda: looks.answer("ss -Htln 'sport = :3128'", user="root") != "", 20, 0.2)
        for lane in ("claude-local", "claude-local --private"):
            nothing(lane)
        routed = asked("claude-routed")
        assert routed == ["CONNECT api.anthropic.com:443 HTTP/1.1"], routed
        control = must_fail(lambda: nothing("claude-routed"), "the lane claude-routed, whose models are a cloud's")
    finally:
        hosts.run(HOST, "systemctl stop drill-proxy; rm -f /tmp/drill-proxy.py /run/drill-proxy")
    return {"claude-local, and --private": "nothing", "claude-routed": routed[0], "control": control}


@drill.cell("ways")
def ways(stage: Stage) -> Figures:
    """Every way of asking for another model."""
    stage.converged()
    return _ways(stage, tuple(WAYS))


@drill.cell("faults")
def faults(stage: Stage) -> Figures:
    """Every fault of the local server: nothing leaves, and the person reads why."""
    stage.converged()
    kind = failures.kinds(failures.urls(stage))["lm_studio"]
    stage.site(settings={"gateway": {"stream_timeout_seconds": SILENCE}}).deploy().ok()
    figures = {}
    every = [*failures.FAULTS, failures.OFF, failures.loading(kind), failures.unloaded(kind, claude_code=True)]
    with egress(stage) as log:
        for each in every:
            stage.simulators.clear()
            fault = (
                replace(each, path=each.path or "/v1/messages")
                if each.kind not in ("refuse", "off", "unload")
                else each
            )
            started = time.monotonic()
            with failures.broken(stage, kind, fault):
                done = hosts.run(HOST, f"{CLAUDE} -p 'say hello'", user="claude", check=False, timeout=130)
            _nothing_left(log, each.name)
            told = (done.stdout.strip() or done.stderr.strip()).splitlines()
            wanted = ANSWERED if each.by == "local" else WORDS[each.kind]
            assert re.search(wanted, " ".join(told)), f"{each.name}: {done.returncode} {told}, not {wanted}"
            assert each.by == "local" or done.returncode, f"{each.name}: it ended well: {told}"
            figures[each.name] = f"after {time.monotonic() - started:.0f} s: {told[-1][:100]}"
    stage.site().deploy().ok()
    return figures
