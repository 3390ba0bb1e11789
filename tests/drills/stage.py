"""What cells play on: a lab of their own, hosts that they may share, and deploys to them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from signalbox.settings.layers import merge
from tests.drills.deployment import Site
from tests.lab import hosts, services
from tests.lab.instance import Lab, locked
from tests.lab.machine import step
from tests.lab.simulators import Client
from tests.lab.zoo.state import State

# The lab is drills, with SIGNALBOX_DRILLS=x xdrills, so that two runs do not meet.
PREFIX = os.environ.get("SIGNALBOX_DRILLS", "")
LAB = f"{PREFIX}drills"


def lab_host(name: str) -> str:
    """Return the name of a host of these drills, so that nobody takes it for one of their own."""
    return f"d-{name}"


HOST = lab_host("host")  # the converged host that cells share


class Stage:
    """A lab named `drills`, apart from the one that people use; as a context manager it takes all of it away again.

    Bringing it up waits until a cell asks for something. waited: seconds in which the shared host was made ready.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.waited = 0.0
        self._keep = keep
        self._converged: set[str] = set()
        self._environment: str | None = None
        self._up = False
        self._exclusive = ExitStack()

    def __enter__(self) -> Stage:
        self._exclusive.enter_context(locked(f"{LAB}.stage"))  # its hosts are taken away without asking
        self._environment = os.environ.get("SIGNALBOX_LAB")
        os.environ["SIGNALBOX_LAB"] = LAB
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if self._up and not self._keep:
                with step("taking the drills' lab down"):
                    hosts.down()
        finally:
            del os.environ["SIGNALBOX_LAB"]
            if self._environment is not None:
                os.environ["SIGNALBOX_LAB"] = self._environment
            self._exclusive.close()

    @property
    def simulators(self) -> Client:
        """The simulated model servers: their request logs and their faults."""
        return Client.of(Lab.current().state / "services" / "simulators")

    def bare(self, *names: str, bare_ca: bool = False, states: Sequence[State] = ()) -> None:
        """Have these hosts as Debian made them, or as these states of the zoo: what was there is taken away."""
        self.discard(*names)
        self._up = True
        hosts.up(names, bare_ca=bare_ca, states=states)

    def up(self, *names: str) -> None:
        """Have these hosts running, new ones and those that are off."""
        self._up = True
        hosts.up(names)

    def discard(self, *names: str) -> None:
        """Take hosts away."""
        self._converged -= set(names)
        if self._up or Lab.current().state.exists():
            hosts.down(names)

    def failed(self) -> None:
        """Take every host away, or have it deployed to anew: after a failure nobody knows what state it is in."""
        if self._up and not self._keep:
            self.discard(*Lab.current().hosts())
        self._converged.clear()

    def site(
        self,
        *names: str,
        settings: Mapping[str, Any] | None = None,
        of_host: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Site:
        """Return hosts with the lab's settings and these over them, by default the shared one."""
        merged = merge(services.lab_settings(), dict(settings or {}))
        return Site(names or (HOST,), merged, of_host or {}, environment or {})

    def converged(self, name: str = HOST) -> Site:
        """Return a host that a deploy with the lab's settings has converged; the first cell that asks waits for it."""
        if name not in self._converged:
            started = time.monotonic()
            kept = Lab.current().host(name).directory / "converged"  # of an earlier run, with --keep
            if kept.exists():
                self._up = True
                hosts.up([name])
            else:
                self.bare(name)
            with step(f"deploying to {name}"):
                self.site(name).deploy().ok()
            kept.touch()
            self._converged.add(name)
            self.waited += time.monotonic() - started
        self.simulators.clear()
        return self.site(name)
