"""What checks find out: plain data."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.facts.before import Listener


@dataclass(frozen=True)
class HostKey:
    """A host's SSH key: `line` as in known_hosts ("ssh-ed25519 AAAA…"), `fingerprint` as ssh-keygen -l tells it."""

    line: str
    fingerprint: str


@dataclass(frozen=True)
class Machine:
    """A host that was logged in to. memory, disk: MiB. sudo: "root" (is root), "free", "password" or "none".

    On a host that nothing was deployed to, listening: whom others reach there, programs as far as this login sees;
    giving_way: packages that would have to go for those of the shipped settings; containers: of root's Docker.
    """

    system: str
    version: str
    title: str
    architecture: str
    memory: int
    disk: int
    sudo: str
    listening: tuple[Listener, ...] = ()
    giving_way: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """A model that a server has; context: in tokens as loaded, None: not loaded, or not told."""

    id: str
    context: int | None = None


@dataclass(frozen=True)
class Server:
    """A model server that answered. locked: it wants a key before it tells what it has."""

    kind: str
    url: str
    models: tuple[Loaded, ...] = ()
    locked: bool = False
