"""Preflight: can this machine become a host? Looks only; a machine that cannot fails alone, before it is touched."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pyinfra import host

from signalbox.desired import symptoms
from signalbox.desired.addresses import of_url
from signalbox.desired.firewall import is_own
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import fail, warn
from signalbox.engine.readahead.cache import MAX_AGE
from signalbox.facts import Machine, MachineState, ModelServers, Reachable
from signalbox.facts.reach import Networks, Resolved
from signalbox.fleet.from_the_gateway import Asked
from signalbox.host.shared import context
from signalbox.operations.packages import refused
from signalbox.settings.sections.preflight import Preflight


@deploy("Preflight")
def preflight(
    settings: Preflight,
    needed: tuple[str, ...],
    optional: tuple[str, ...],
    readings: Sequence[dict[str, Any]],
    own: Mapping[str, str],
    by_name: tuple[str, ...],
    gateway: Asked | None,
    encrypts: bool,
    packages: tuple[str, ...],
) -> None:
    """Check the machine, and probe `needed` (mirrors) and `optional` (backends) addresses, "host:port", side by side.

    A needed address that does not answer stops the first deploy of a host and is a warning after it, when a run
    that changes nothing downloads nothing. A backend that is off is a warning: failover is what we are for. One that
    tells, as `readings` ask, that it has loaded too little context for Claude Code stops the deploy.
    `own`: the names or addresses of the backends for which nobody is said to be billed; one that is public stops it.
    `by_name`: names at which the gateway's container, which has IPv4 alone, shall find a server.
    `gateway`: what one asks that runs already; where it tells of a server, the host's own connection says nothing.
    `encrypts`: secrets shall be encrypted there. `packages`: what tasks will install.
    """
    if not settings.enabled:
        return
    asked = time.time() - MAX_AGE  # facts may have been read ahead
    machine: MachineState = host.get_fact(Machine)
    answered = time.time()
    if not machine.debian:  # simulated hosts answer nothing
        return
    reachable = host.get_fact(Reachable, addresses=(*needed, *optional), seconds=settings.probe_timeout_seconds)
    problems = _problems(settings, machine, asked, answered)
    if encrypts and not machine.credentials:
        problems.append(
            "systemd encrypts no secrets here: /run/systemd/io.systemd.Credentials is missing; start"
            ' systemd-creds.socket, or write secrets.on_host = "plain"'
        )
    problems += refused(list(packages))
    for address in needed:
        if not reachable.get(address):
            message = f"{address} takes no connection from this host; check `mirrors`, DNS and its firewall"
            if machine.deployed:
                warn(message)
            else:
                problems.append(message)
    said = _by_the_gateway(gateway, reachable, settings)
    for address in optional:
        if not reachable.get(address) and address not in said:
            warn(symptoms.words("backend-off", f"backend {address} takes no connection from this host"))
    resolved = _resolved(own, by_name)
    problems += _payers(own, resolved)
    problems += _contexts(readings, {address for address in optional if reachable.get(address)}, settings)
    fail(problems)


def _by_the_gateway(gateway: Asked | None, reachable: Mapping[str, bool], settings: Preflight) -> set[str]:
    """Warn of what a gateway that runs does not reach; return the addresses that it tells of."""
    if gateway is None:
        return set()
    told = host.get_fact(ModelServers, urls=(gateway.look,), seconds=settings.probe_timeout_seconds)
    said = gateway.told(told.get(gateway.look))
    for words in gateway.warnings(said, reachable):
        warn(words)
    return {gateway.servers[name] for name in said}


def _resolved(own: Mapping[str, str], by_name: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the addresses of both; warn of a name that the gateway's container cannot go by."""
    names = tuple(dict.fromkeys((*own.values(), *by_name)))
    found: dict[str, list[str]] = host.get_fact(Resolved, names=names) if names else {}
    for name in by_name:
        if (addresses := found.get(name)) and all(":" in each for each in addresses):
            warn(symptoms.words("ipv6-only", f"{name} has no IPv4 address here"))
    return found


def _payers(own: Mapping[str, str], found: Mapping[str, list[str]]) -> list[str]:
    """Return which servers are on nobody's own network, so that somebody is likely to be billed."""
    attached = host.get_fact(Networks) if own else []
    problems = []
    for name, server in own.items():
        public = [address for address in found.get(server, ()) if not is_own(address, attached)]
        if public:
            where = server if server in public else f"{server} is {public[0]}, which"
            problems.append(
                f"backends.{name}.url: {where} is on no network of this host's, so somebody is likely to be billed;"
                f' write "payer": "the account at {server}" into backends.{name}, or the address of your own server'
            )
    return problems


def _contexts(readings: Sequence[dict[str, Any]], answering: set[str], settings: Preflight) -> list[str]:
    """Return what is wrong with the contexts that model servers tell at the addresses that answer; warn of the rest."""
    problems = []
    asked = [reading for reading in readings if of_url(reading["url"]) in answering]
    urls = tuple(dict.fromkeys(reading["url"] for reading in asked))
    told = host.get_fact(ModelServers, urls=urls, seconds=settings.probe_timeout_seconds) if urls else {}
    for reading in asked:
        if reading["url"] not in told:
            if reading["secret"]:
                warn(
                    f"{reading['model']} at {reading['url']} does not tell its context without its token, which a"
                    " deploy does not send; the gateway asks, and each launch goes by what it read"
                )
            continue
        tokens = context.loaded(told[reading["url"]], reading)
        for grave, said in context.verdicts(tokens, reading):
            if grave == "refused":
                problems.append(f"{said} [context-small]")
            elif tokens is None:
                warn(f"{said} [model-not-loaded]")
            else:
                warn(f"{said} [context-less]" if tokens < reading["context_length"] else said)
    return problems


def _problems(settings: Preflight, machine: MachineState, asked: float, answered: float) -> list[str]:
    problems = []
    if machine.uid != 0:
        problems.append(f"commands run as user {machine.uid} there, not as root; set connection.sudo = True")
    if machine.debian != "debian-13":
        problems.append(f"this is {machine.debian}; Signalbox deploys to Debian 13 (debian-13)")
    if machine.architecture not in ("amd64", "arm64"):
        problems.append(f"the architecture is {machine.architecture}; Claude Code has binaries for amd64 and arm64")
    if machine.init != "systemd":
        problems.append(f"process 1 is {machine.init}; services need systemd")
    if machine.disk_mib < settings.min_disk_mib and not machine.deployed:
        problems.append(
            f"{machine.disk_mib} MiB are free under /; preflight.min_disk_mib asks for {settings.min_disk_mib}"
        )
    if machine.memory_mib < settings.min_memory_mib:
        problems.append(
            f"memory is {machine.memory_mib} MiB; preflight.min_memory_mib asks for {settings.min_memory_mib}"
        )
    skew = max(asked - machine.epoch, machine.epoch - answered, 0)
    if skew > settings.max_clock_skew_seconds:
        problems.append(
            symptoms.words(
                "clock",
                f"the clock is {skew:.0f} s off from this machine's; TLS and tokens fail beyond"
                f" preflight.max_clock_skew_seconds = {settings.max_clock_skew_seconds}",
            )
        )
    return problems
