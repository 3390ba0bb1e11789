"""The gateway is restarted behind a stand-in: a unit of the system's that answers meanwhile, and ends by itself.

The gateway that is to be restarted is an older one, and need not know of this. The unit's main process is the new
supervisor, as the gateway's account, on a port of its own. When it answers, one nftables table sends new connections
to it; those that are under way stay where they are, on both sides. Then the unit itself restarts the gateway, once that
has none left, gives new connections back to it, and ends with its own last one. So a controller that is gone changes
nothing, and whatever ends the unit takes the table away. All that it needs is in memory: a boot forgets it.

templates/gateway/handover.j2 is the host's half. Here is what the controller says to it.
"""

from __future__ import annotations

from signalbox.shell.run_as import run_as
from signalbox.shell.script import Script, sh

UNIT = "signalbox-handover.service"
PLACE = "/run/signalbox-handover"  # root's alone: the program, and how far it has come
TABLE = "inet signalbox_handover"
PORTS = range(24100, 24132)  # of the loopback, for a stand-in; those of containers are in host/supervisor/container.py
LABEL = "handover"  # of its container: what starts or ends litellm.service takes away those that are labelled "gateway"
MEMORY_MIB = 512  # that must be free: a second gateway takes about 400
SILENT_SECONDS = 3  # in which a new connection has said something, or it is no request

_GOING = sh("systemctl show -p ActiveState --value {} | grep -vxE {}", UNIT, "inactive|failed")
# Whether one goes on, which, and how far it has come: a line each.
LOOK = sh("{{ {} || echo no; }}; cat {}/token {}/state", _GOING, PLACE, PLACE)
_READ = sh("if {going}; then : > {place}/read; else rm -rf --one-file-system {place}; fi", going=_GOING, place=PLACE)
_OWN = sh('"$XDG_RUNTIME_DIR"/signalbox-handover')
_CONTAINERS = sh("docker rm --force $(docker ps -aq --filter label={}) >/dev/null 2>&1", f"signalbox={LABEL}")
# Begins the hand-over whose program is on its stdin; one that goes on is left alone.
BEGIN = sh(
    "( ! {going} >/dev/null || exit 0; umask 077; rm -rf --one-file-system {place} && mkdir {place} && cd {place}"
    " && cat > program && sh program begin )",
    going=_GOING,
    place=PLACE,
)
# What is left of one that is not wanted any more: the unit takes all with it but its place.
OVER = sh("{{ systemctl stop {unit} 2>/dev/null; rm -rf --one-file-system {place}; }}", unit=UNIT, place=PLACE)
# What one leaves whose controller was gone when it ended.
FORGET = sh("rm -rf --one-file-system {}", PLACE)


def ended(status: int) -> Script:
    """Return root's shell that ends as the restart did, with what that said."""
    return sh("( cat {}/said >&2; {}; exit {} )", PLACE, _READ, status)


def plainly(restart: Script) -> Script:
    """Return root's shell that restarts the gateway without a stand-in, and forgets that there was to be one."""
    return sh("{}; {}", OVER, restart)


def is_active(account: str, home: str) -> Script:
    """Return root's shell that succeeds where there is something to hand over."""
    return run_as(account, home, sh("systemctl --user --quiet is-active litellm.service"), seconds=20)


def staged(account: str, home: str, files: str) -> Script:
    """Return root's shell that has, in memory, what the stand-in starts from; `files`: as litellm.service has them."""
    script = sh(
        "umask 077; d={own}; {containers}; rm -rf --one-file-system $d; mkdir -p $d/standin $d/state"
        " && : > $d/standin/started && {{ cp ~/.local/state/litellm/good $d/state/ 2>/dev/null;"
        " exec python3 -B {files}/supervisor/stage.py {files} $d/standin $d/state; }}",
        own=_OWN,
        containers=_CONTAINERS,
        files=files,
    )
    return run_as(account, home, script)


def gone(account: str, home: str) -> Script:
    """Return root's shell that takes away what `staged` and the stand-in have made."""
    script = run_as(account, home, sh("{}; rm -rf --one-file-system {}", _CONTAINERS, _OWN), seconds=60)
    return sh("nsenter --target=1 --mount sh -c {}", str(script))  # in the unit's own mounts it is in use
