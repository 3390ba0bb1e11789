"""Proof of failover on the running gateway: the host's route to its local model servers is cut for seconds.

A timer lifts it whatever happens to this program. Nothing else is touched: requests of others fail over meanwhile,
too, and the answer comes from the fallback, which bills.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from .here import Here, run
from .people import People

PRIORITY = "77"  # of the routing rules, so that those and no others are lifted
ADDRESSES = ("-4", "-6")


class DrillError(Exception):
    """The route could not be cut."""


def drill(here: Here, people: People, seconds: int) -> Iterator[dict[str, str]]:
    """Yield for each local model with a fallback what happened: model, answered_by, problem ("" when all went well)."""
    models = [name for name in here.expected["failover"] if name in here.expected["local"]]
    if not models:
        return
    servers = {name: server["probe"] for name, server in here.expected["backends"].items()}
    addresses = sorted({each for url in servers.values() for each in _addresses(url)})
    timer = f"signalbox-drill-{os.getpid()}"
    try:
        _cut(addresses, seconds, timer)
        for name in models:
            yield {"model": name, **_answer(people, name, here)}
    except DrillError as error:
        yield {"model": ", ".join(models), "answered_by": "", "problem": str(error)}
    finally:
        _lift()
        # Left running, it would lift what a later drill has cut.
        run("systemctl", "stop", f"{timer}.timer")
    yield from _back(here, people, models)


def _answer(people: People, model: str, here: Here) -> dict[str, str]:
    told = people.ask_as(here.expected["user"], {"do": "fallback", "model": model})
    if "error" in told:
        return {"answered_by": "", "problem": told["error"]}
    local = here.expected["local"][model]["boxes"]
    if told["status"] != 200:
        return {"answered_by": "", "problem": f"the gateway answers {told['status']}: {told['said']}"}
    if told["by"] in local:
        return {"answered_by": told["by"], "problem": "the local server answered although it could not be reached"}
    return {"answered_by": told["by"], "problem": ""}


def _back(here: Here, people: People, models: list[str]) -> Iterator[dict[str, str]]:
    """See the local servers answer again, once the gateway's pause for them is over."""
    until = time.monotonic() + here.expected["cooldown_seconds"] + 30
    for model in models:
        by = ""
        while time.monotonic() < until:
            by = str(people.ask_as(here.expected["user"], {"do": "local", "model": model}).get("by", ""))
            if by in here.expected["local"][model]["boxes"]:
                break
            time.sleep(1)
        well = by in here.expected["local"][model]["boxes"]
        problem = "" if well else "the local server does not answer again although the route is back"
        yield {"model": model, "answered_by": by, "problem": problem}


def _addresses(url: str) -> list[tuple[str, str, int]]:
    """Return the family, address and port of a server, each of its addresses."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [("-6" if each[0] == socket.AF_INET6 else "-4", str(each[4][0]), port) for each in found]


def _cut(addresses: list[tuple[str, str, int]], seconds: int, timer: str) -> None:
    lift = "; ".join(f"while ip {family} rule del priority {PRIORITY} 2>/dev/null; do :; done" for family in ADDRESSES)
    # The way back first: it holds even if this program is killed.
    armed, said = run("systemd-run", f"--unit={timer}", f"--on-active={seconds}s", "/bin/sh", "-c", lift)
    if armed:
        raise DrillError(f"the timer that lifts the block could not be set: {said[-200:]}")
    for family, address, port in addresses:
        rule = ("to", address, "ipproto", "tcp", "dport", str(port), "priority", PRIORITY, "unreachable")
        status, said = run("ip", family, "rule", "add", *rule)
        if status:
            raise DrillError(f"the route to {address} could not be cut: {said}")
    for _, address, port in addresses:
        try:
            socket.create_connection((address, port), timeout=2).close()
        except OSError:
            continue
        raise DrillError(f"{address}:{port} is reached although its route is cut")


def _lift() -> None:
    for family in ADDRESSES:
        while run("ip", family, "rule", "del", "priority", PRIORITY)[0] == 0:
            pass
