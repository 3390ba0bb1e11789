"""Keys that Claude Code would take from the service user's own files, past every lane."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase

from signalbox.run_as import run_as

_FILES = (
    "/etc/environment /etc/environment.d/*.conf /etc/profile /etc/profile.d/*.sh /etc/bash.bashrc /etc/zsh/zshenv"
    " .profile .bash_profile .bash_login .bashrc .bash_aliases .zshenv .zprofile .zshrc .zlogin .pam_environment"
    " .config/fish/config.fish .config/fish/conf.d/*.fish .config/environment.d/*.conf .config/claude-secrets.env"
    " .claude/settings*.json .claude-*/settings*.json /etc/claude-code/*.json /etc/claude-code/*/*.json"
)
# A name with a value behind it: NAME=value, "NAME": "value", fish's set -gx NAME value. Only the name is printed.
_AWK = r"""
/^[[:space:]]*(#|\/\/)/ { next }
match($0, /ANTHROPIC_(API_KEY|AUTH_TOKEN)"?([[:space:]]*[=:]|[[:space:]])[[:space:]]*["\x27]?[^"\x27[:space:];]/) {
    name = substr($0, RSTART); sub(/[^A-Z_].*/, "", name)
    print name " " FNR " " FILENAME
}
"""


@dataclass(frozen=True)
class KeySetting:
    """A line of a file that sets `variable`; never its value."""

    path: str
    line: int
    variable: str


class KeySettings(FactBase[list[KeySetting]]):
    """Where shells, units or Claude Code of a user would be given ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN."""

    def command(self, user: str, home: str) -> str:
        """Return the command."""
        look = f'for f in {_FILES}; do [ ! -f "$f" ] || awk {shlex.quote(_AWK)} "$f"; done'
        return f"{{ ! id -u {user} >/dev/null 2>&1 || {run_as(user, home, look)}; }} 2>/dev/null || true"

    default = list

    def process(self, output: list[str]) -> list[KeySetting]:
        """Parse `variable line path`."""
        found = (line.split(" ", 2) for line in output if line)
        return [
            KeySetting(path if path.startswith("/") else f"~/{path}", int(line), variable)
            for variable, line, path in found
        ]
