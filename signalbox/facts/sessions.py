"""Sessions of Claude Code that run."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Session:
    """A process of Claude Code that asks the gateway.

    lane: the command that started it, `claude` outside of lanes. age: as ps tells it.
    """

    pid: int
    terminal: str
    age: str
    lane: str


class Sessions(FactBase[list[Session]]):
    """The sessions of a user that go to the gateway on this port of the host's loopback, and so hold its key."""

    def command(self, user: str, port: int) -> str:
        """Return the command."""
        return (
            f"for p in $(pgrep -u {user} -x claude 2>/dev/null); do"
            " e=$(tr '\\0' '\\n' < /proc/$p/environ 2>/dev/null) || continue;"
            f" printf '%s\\n' \"$e\" | grep -qE '^ANTHROPIC_BASE_URL=http://(127\\.0\\.0\\.1|localhost):{port}(/|$)'"
            " || continue; l=$(printf '%s\\n' \"$e\" | sed -n 's/^SIGNALBOX_LANE=/-/p');"
            ' echo "$p $(ps -o tty=,etime= -p $p) claude$l"; done; true'
        )

    default = list

    def process(self, output: list[str]) -> list[Session]:
        """Parse `pid terminal age command`."""
        found = (line.split() for line in output)
        return [Session(int(words[0]), words[1], words[2], words[3]) for words in found if len(words) == 4]
