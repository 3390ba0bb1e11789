"""Proof of failover on the running gateway: the host's way to its local model servers is blocked for seconds.

By a table of its own in the kernel's packet filter, which a server on this very host does not escape. A timer lifts it
whatever happens to this program. Nothing else is touched: requests of others fail over meanwhile, too, and the answer
comes from the fallback, which bills.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from .host_context import Here, run
from .privileges import People

TABLE = ("table", "inet", "signalbox_drill")


class DrillError(Exception):
    """The way could not be blocked."""


def drill(here: Here, people: People, seconds: int) -> Iterator[dict[str, str]]:
    """Yield for each local model with a fallback what happened: model, answered_by, problem ("" when all went well)."""
    models = [name for name in here.expected["failover"] if name in here.expected["local"]]
    if not models:
        return
    addresses = sorted({each for server in here.expected["backends"].values() for each in _addresses(server["probe"])})
    timer = f"signalbox-drill-{os.getpid()}"
    try:
        _block(addresses, seconds, timer)
        for name in models:
            yield {"model": name, **_answer(people, name, here)}
    except DrillError as error:
        yield {"model": ", ".join(models), "answered_by": "", "problem": str(error)}
        return
    finally:
        _lift(timer)
    yield from _back(here, people, models)


def _answer(people: People, model: str, here: Here) -> dict[str, str]:
    told = people.ask_as(here.expected["user"], {"do": "fallback", "model": model})
    if "error" in told:
        return {"answered_by": "", "problem": told["error"]}
    local = here.expected["local"][model]["boxes"]
    if told["status"] != 200:
        return {"answered_by": "", "problem": f"the gateway answers {told['status']}: {told['said']}"}
    if told["by"] in local:
        return {"answered_by": told["by"], "problem": "the local server answered although it is blocked"}
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
        problem = "" if well else "the local server does not answer again although nothing blocks it any more"
        yield {"model": model, "answered_by": by, "problem": problem}


def _addresses(url: str) -> list[tuple[str, str, int]]:
    """Return the family, address and port of a server, each of its addresses."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [("ip6" if each[0] == socket.AF_INET6 else "ip", str(each[4][0]), port) for each in found]


def _block(addresses: list[tuple[str, str, int]], seconds: int, timer: str) -> None:
    # The way back first: it holds even if this program is killed.
    armed, said = run("systemd-run", f"--unit={timer}", f"--on-active={seconds}s", "nft", "destroy", *TABLE)
    if armed:
        raise DrillError(f"the timer that lifts the block could not be set: {said[-200:]}")
    status, said = run("nft", "create", *TABLE)
    if status:
        run("systemctl", "stop", f"{timer}.timer")
        raise DrillError(f"nft cannot block the local servers, or another drill is under way: {said[-200:]}")
    rules = "\n".join(
        f"{family} daddr {address} tcp dport {port} reject with icmpx host-unreachable"
        for family, address, port in addresses
    )
    chain = f"{' '.join(TABLE)} {{\nchain output {{\ntype filter hook output priority -10\n{rules}\n}}\n}}\n"
    status, said = run("nft", "-f", "-", stdin=chain)
    if status:
        raise DrillError(f"the local servers could not be blocked: {said[-200:]}")
    for _, address, port in addresses:
        try:
            socket.create_connection((address, port), timeout=2).close()
        except OSError:
            continue
        raise DrillError(f"{address}:{port} is reached although it is blocked")


def _lift(timer: str) -> None:
    # While our timer runs the table is ours; left running, it would lift what a later drill blocks.
    if run("systemctl", "is-active", f"{timer}.timer")[0] == 0:
        run("nft", "destroy", *TABLE)
        run("systemctl", "stop", f"{timer}.timer")
