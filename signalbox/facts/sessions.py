"""Sessions of Claude Code that run."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, asked, claim, fields, said_by

_MAX = 1000  # sessions that are told


@dataclass(frozen=True)
class Session:
    """A process of Claude Code that asks the gateway.

    lane: the command that started it, `claude` outside of lanes. age: as ps tells it.
    """

    pid: int
    terminal: str
    age: str
    lane: str


class Sessions(HostFact[list[Session]]):
    """The sessions of a user that go to the gateway on this port of the host's loopback, and so hold its key."""

    def command(self, user: str, port: int) -> Script:
        """Return the command. A variable may hold line breaks: its end is a NUL."""
        look = sh(
            "for p in $(pgrep -u {user} -x claude); do"
            " grep -qzE {wanted} /proc/$p/environ || continue;"
            " l=$(sed -zn 's/^SIGNALBOX_LANE=/-/p' /proc/$p/environ | tr -d '\\0\\n' | head -c 64);"
            " set -- $(ps -o tty=,etime= -p $p); printf '%s\\0' \"$p $1 $2 claude$l\"; done",
            user=user,
            wanted=f"^ANTHROPIC_BASE_URL=http://(127\\.0\\.0\\.1|localhost):{port}(/|$)",
        )
        return asked(said_by(user, "/", look))

    default = list

    def process(self, output: list[str]) -> list[Session]:
        """Read `pid terminal age command`, each ended by NUL; what is none of these is left out."""
        found = []
        for each in fields(output):
            for words in (line.split(" ") for line in claim(each).split("\0")[:_MAX]):
                if len(words) == 4 and words[0].isascii() and words[0].isdigit() and len(words[0]) < 10:
                    found.append(Session(int(words[0]), words[1], words[2], words[3]))
        return found
