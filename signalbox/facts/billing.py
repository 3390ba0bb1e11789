"""Keys in the service user's own files: what Claude Code would take past every lane, and what it shall not have."""

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
# A line that gives a name of `names` a value: NAME=value where a word begins, JSON's "NAME": "value", fish's
# set -gx NAME value, pam_env's NAME DEFAULT=value. What only reads, tests or unsets it is none. Only names are printed.
_AWK = r"""
BEGIN { count = split(names, each, " "); value = "[\"\047]?[^\"\047[:space:];]" }
/^[[:space:]]*(#|\/\/)/ { next }
{
    for (i = 1; i <= count; i++) {
        set = "(^|[[:space:];\"\047])" each[i] "=" value
        json = "\"" each[i] "\"[[:space:]]*:[[:space:]]*\"[^\"]"
        fish = "(^|[[:space:];])set[[:space:]]+(-[^[:space:]]+[[:space:]]+)*" each[i] "[[:space:]]+" value
        pam = "^" each[i] "[[:space:]]+(DEFAULT|OVERRIDE)=" value
        if ($0 ~ set || $0 ~ json || $0 ~ fish || $0 ~ pam) print each[i] " " FNR " " FILENAME
    }
}
"""
BILLED = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")  # what Claude Code takes without asking


@dataclass(frozen=True)
class KeySetting:
    """A line of a file that sets `variable`; never its value."""

    path: str
    line: int
    variable: str


class KeySettings(FactBase[list[KeySetting]]):
    """Where shells, units or Claude Code of a user would be given variables of these names."""

    def command(self, user: str, home: str, names: tuple[str, ...]) -> str:
        """Return the command."""
        words = shlex.join(["awk", "-v", f"names={' '.join(names)}", _AWK])
        look = (
            f'set --; for f in {_FILES}; do [ ! -f "$f" ] || [ ! -r "$f" ] || set -- "$@" "$f"; done;'
            f' [ $# = 0 ] || {words} "$@"'
        )
        return f"{{ {run_as(user, home, look)}; }} 2>/dev/null || true"

    default = list

    def process(self, output: list[str]) -> list[KeySetting]:
        """Parse `variable line path`."""
        found = (line.split(" ", 2) for line in output if line)
        return [
            KeySetting(path if path.startswith("/") else f"~/{path}", int(line), variable)
            for variable, line, path in found
        ]
