"""The gateway is restarted behind a stand-in, where that can be; see shell/handover.py."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex

import gevent
from pyinfra import host, logger
from pyinfra.api import operation

from signalbox.desired.render import render
from signalbox.engine.changes import differs
from signalbox.engine.outcome import warn
from signalbox.facts import UserCommand
from signalbox.operations.commands import Commands
from signalbox.shell import Script, fed, handover, sh
from signalbox.shell.run_as import SYSTEM_PATH

QUIET = 2  # seconds that pass unsaid
PAUSE = 0.5  # seconds between two looks
TRIES = 3  # to begin one, where others are under way
_ENDS = ("restarted", "plain", "idle")
_EARLIER = "waits for the hand-over that an earlier deploy has begun"

_OF_SANDBOX = re.compile(
    r"(NoNewPrivileges|Private\w+|Protect\w+|ProcSubset|Restrict(?!Steps)\w+|LockPersonality|Memory\w+|TasksMax|LimitNOFILE"
    r"|SystemCall\w+|CapabilityBoundingSet|KeyringMode|UMask)=.*"
)


@dataclass(frozen=True)
class StandIn:
    """How the gateway's stand-in is run.

    account, home: whose the gateway is. files: directory of what it starts from, its supervisor among them. port: the
    gateway's. start_seconds: until it answers, at most. drain_seconds: for last requests. unit: litellm.service's text,
    whose sandbox it has too.
    """

    account: str
    home: str
    files: str
    port: int
    start_seconds: int
    drain_seconds: int
    unit: str

    @property
    def properties(self) -> list[str]:
        """What the stand-in's unit has beside what is its own."""
        # Each phase of a start: to come up, or to wait thrice for last requests and once for the gateway.
        seconds = self.start_seconds * 2 + self.drain_seconds * 3 + 180
        return [
            *(line for line in self.unit.splitlines() if _OF_SANDBOX.fullmatch(line)),
            f"BindReadOnlyPaths=-{self.files}/supervisor",
            "KillMode=mixed",
            f"TimeoutStartSec={seconds}",
            "TimeoutStopSec=40",
            "RuntimeMaxSec=60",
        ]


def program(it: StandIn, restart: Script, token: str) -> str:
    """Return the host's half of a hand-over.

    restart: root's shell that restarts the gateway. token: what tells this hand-over from an earlier deploy's.
    """
    return render(
        "gateway/handover",
        path=SYSTEM_PATH,
        place=handover.PLACE,
        token=sh("{}", token),
        account=sh("{}", it.account),
        port=it.port,
        ports=sh("{}", list(map(str, handover.PORTS))),
        table=handover.TABLE,
        silent=handover.SILENT_SECONDS,
        drain=it.drain_seconds,
        memory=handover.MEMORY_MIB,
        unit=handover.UNIT,
        label=handover.LABEL,
        active=handover.is_active(it.account, it.home),
        staged=handover.staged(it.account, it.home, it.files),
        gone=handover.gone(it.account, it.home),
        properties=sh("{}", [f"--property={each}" for each in it.properties]),
        launch=sh("{}", f"{it.files}/supervisor/launch.py"),
        restart=restart,
    )


def restarted(it: StandIn, restart: Script, needed: Callable[[], bool]) -> Commands:
    """Yield what has the gateway restarted, with a stand-in where that can be, and says why where it cannot.

    + needed: asked once an earlier deploy's hand-over is over.
    """
    phase, rest = "plain", "an earlier hand-over does not end"
    for _ in range(TRIES):
        token = token_hex(8)
        yield fed(handover.BEGIN, program(it, restart, token))
        ours, *found = _over(token, it)
        if ours:
            phase, rest = found
            break
        if not needed():
            yield handover.FORGET
            return
    if phase == "restarted":
        yield handover.ended(int(rest))
        return
    if phase != "idle":
        warn(f"litellm.service is restarted without a stand-in, and answers nobody meanwhile: {rest}")
    yield handover.plainly(restart)


def _over(token: str, it: StandIn) -> tuple[bool, str, str]:
    """Wait until the hand-over has restarted the gateway, or has ended; return whether it is ours, and its state."""
    said, began = "", time.monotonic()
    while True:
        told = host.get_fact(UserCommand, user="root", home="/root", script=handover.LOOK)
        going, ours, phase, rest = read(told, token)
        if phase in _ENDS and ours:
            return ours, phase, rest
        if not going:
            return ours, "plain", "its stand-in has ended before its time"
        at = phase if ours else _EARLIER
        if at != said and time.monotonic() - began > QUIET:
            host.log_styled(_words(phase, rest, it) if ours else _EARLIER, log_func=logger.info)
            said = at
        gevent.sleep(PAUSE)


def read(told: list[str], token: str) -> tuple[bool, bool, str, str]:
    """Return of the lines of `LOOK` whether a hand-over goes on, whether it is ours, and how it stands."""
    going, whose, state = (*told, "", "", "")[:3]
    if going in ("", "no") and not state:
        return False, True, "plain", "the host does not say why"
    phase, _, rest = state.partition(" ")
    return going not in ("", "no"), whose == token, phase, rest


def _words(phase: str, rest: str, it: StandIn) -> str:
    if phase == "waits":
        return f"a stand-in takes new requests; the gateway ends its last {rest}, for {it.drain_seconds} s at most"
    if phase == "restarts":
        cut = f"; {rest} requests that took longer than {it.drain_seconds} s are cut off" if rest != "0" else ""
        return f"litellm.service restarts, while the stand-in answers{cut}"
    return "a stand-in for litellm.service starts"


@operation()
def nothing_handed_over() -> Commands:
    """Have no hand-over of the gateway under way: it would start again what is taken away."""
    going = host.get_fact(UserCommand, user="root", home="/root", script=handover.LOOK)[:1]
    if going in ([], ["no"]):
        host.noop("no gateway is handed over")
        return
    differs(handover.UNIT, "running", None)
    yield handover.OVER
