"""What the gateway tells of the model servers, from its container: its network, resolver and CAs are not the host's.

It tells without a key, and of each server its HTTP status, or a word for why there is none, or nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gevent
from pyinfra.api import Host, State
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_host

from signalbox.desired import addresses, symptoms
from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import Routing, routing_table
from signalbox.engine.outcome import warn
from signalbox.facts import ModelServers, Reachable
from signalbox.host.shared.reasons import WHY
from signalbox.settings import Settings, settings_for

TRIES, PAUSE = 4, 2.0  # looks, and seconds between them: a gateway that has just begun has asked nobody yet
OF_A_CERTIFICATE = {"certificate": "tls"}  # the other words for certificates are the symptoms' own


@dataclass(frozen=True)
class Asked:
    """What a gateway asks. look: where it tells so. servers: "host:port" by name. lanes: who needs each."""

    look: str
    servers: Mapping[str, str]
    lanes: Mapping[str, tuple[str, ...]]

    def told(self, answer: Any) -> dict[str, int | str]:
        """Return of each server that lanes need its status or the word; of one that was not asked yet, nothing."""
        said = answer if isinstance(answer, dict) else {}
        known = {name: said.get(name) for name in self.lanes}
        return {
            name: each
            for name, each in known.items()
            if (isinstance(each, int) and not isinstance(each, bool)) or (isinstance(each, str) and each in WHY)
        }

    def warnings(self, said: Mapping[str, int | str], reachable: Mapping[str, bool]) -> Iterator[str]:
        """Yield cause and cure for each server that it does not reach. reachable: from the host itself."""
        for name, word in said.items():
            if isinstance(word, int):
                continue
            there = reachable.get(self.servers[name])
            symptom = OF_A_CERTIFICATE.get(word, word)
            if symptom not in symptoms.known():
                symptom = "backend-from-container" if there else "backend-off"
            address, lanes = self.servers[name], ", ".join(self.lanes[name])
            whose = (
                "this host reaches it, the gateway's container does not" if there else "the gateway does not reach it"
            )
            yield symptoms.words(symptom, f"{name} at {address}, of the lanes {lanes}: {whose}: {WHY[word]}")


def asked(settings: Settings, routing: Routing) -> Asked | None:
    """Return what the gateway asks; None: there is none, or its lanes need no server on one's own network."""
    lanes: dict[str, tuple[str, ...]] = {}
    for name, lane in lane_records(settings, routing)["lanes"].items() if settings.gateway.enabled else ():
        for server in lane["servers"] if lane["via"] == "gateway" else ():
            lanes[server] = (*lanes.get(server, ()), name)
    if not lanes:
        return None
    servers = {name: addresses.of_url(str(settings.backends[name].url)) for name in lanes}
    return Asked(f"http://127.0.0.1:{settings.gateway.port}/signalbox/servers", servers, lanes)


def tell(state: State) -> None:
    """Say at the end of a deploy that changed something which servers the gateway of each host does not reach."""
    hosts = [host for host in state.active_hosts if host not in state.failed_hosts and _changed(state, host)]
    gevent.joinall([gevent.spawn(_tell, host) for host in hosts])


def _changed(state: State, host: Host) -> bool:
    """Return whether there may be more to tell than at the beginning."""
    metas = [data.operation_meta for data in state.ops[host].values()]
    return any(meta.is_complete() and meta.did_change() for meta in metas)


def _tell(host: Host) -> None:
    settings = settings_for(host)
    if (gateway := asked(settings, routing_table(settings))) is None:
        return
    root, said = settings.privileges(), dict[str, int | str]()
    try:
        for _ in range(TRIES):
            answers = host.get_fact(ModelServers, urls=(gateway.look,), seconds=5, **root)
            said = gateway.told(answers.get(gateway.look))
            if len(said) == len(gateway.lanes) or gateway.look not in answers:
                break
            gevent.sleep(PAUSE)
        if all(isinstance(each, int) for each in said.values()):
            return
        reachable = host.get_fact(Reachable, addresses=tuple(gateway.servers.values()), seconds=3, **root)
    except PyinfraError:
        return  # a host that does not answer any more has been told of
    with ctx_host.use(host):
        for words in gateway.warnings(said, reachable):
            warn(words)
