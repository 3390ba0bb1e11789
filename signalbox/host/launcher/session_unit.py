"""A named session as a unit of the user's systemd, and the tmux in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ..shared.output import EX_UNAVAILABLE, fail

PROGRAM = str(Path(__file__).with_name("launch.py"))


TMUX = "/usr/bin/tmux"


# Claude Code uses all colours in tmux when it is told to; tmux has fewer for a terminal that has fewer.
COLOURS = {"COLORTERM": "truecolor", "CLAUDE_CODE_TMUX_TRUECOLOR": "1"}


def unit(name: str) -> str:
    """Return the name of a session's unit."""
    return f"claude-session@{name}.service"


def socket(name: str) -> str:
    """Return the name of a session's tmux socket."""
    return f"claude-{name}"


def runs(name: str) -> bool:
    words = [TMUX, "-L", socket(name), "has-session", "-t", f"={name}"]
    return subprocess.run(words, env=of_tmux(), capture_output=True, check=False).returncode == 0


def of_tmux() -> dict[str, str]:
    """Return the environment in which tmux finds a session's own server, from inside of another one too."""
    return {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_TMPDIR")}


def require_manager() -> None:
    """End if the user's systemd manager does not answer; let it have units that a deploy has changed."""
    words = ["/usr/bin/systemctl", "--user", "daemon-reload"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        uid = os.getuid()
        fail(
            EX_UNAVAILABLE,
            f"your systemd manager does not answer ({done.stderr.strip()}); nothing is lost. Log in anew (ssh), or as "
            f"root: systemctl restart user@{uid}.service",
        )


def systemctl(*words: str, quietly: bool = False) -> int:
    told = subprocess.DEVNULL if quietly else None
    words = ("/usr/bin/systemctl", "--user", *words)
    return subprocess.run(words, env=environment(), stderr=told, check=False).returncode


def environment() -> dict[str, str]:
    """Return the environment in which systemctl finds this user's manager: a su has none, or another user's."""
    kept = {key: value for key, value in os.environ.items() if key != "DBUS_SESSION_BUS_ADDRESS"}
    return {**kept, "XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"}


def boot() -> str:
    """Return what tells this boot from others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
