"""Sessions of Claude Code that run."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Session:
    """A process of Claude Code that asks the gateway. lane: the command that started it. age: as ps tells it."""

    pid: int
    terminal: str
    age: str
    lane: str


class Sessions(FactBase[list[Session]]):
    """The sessions of a user that go to a gateway on the host's loopback, and so hold its key."""

    def command(self, user: str) -> str:
        """Return the command."""
        return (
            f"for p in $(pgrep -u {user} -x claude 2>/dev/null); do"
            " e=$(tr '\\0' '\\n' < /proc/$p/environ 2>/dev/null) || continue;"
            ' case "$e" in *ANTHROPIC_BASE_URL=http://127.0.0.1:*) ;; *) continue;; esac;'
            " d=$(printf '%s\\n' \"$e\" | sed -n 's/^CLAUDE_CONFIG_DIR=//p');"
            ' echo "$p $(ps -o tty=,etime= -p $p) ${d##*/.}"; done; true'
        )

    default = list

    def process(self, output: list[str]) -> list[Session]:
        """Parse `pid terminal age directory`."""
        found = (line.split() for line in output)
        return [Session(int(words[0]), words[1], words[2], words[3]) for words in found if len(words) == 4]
