"""Keys in the service user's own files: what Claude Code would take past every lane, and what it shall not have."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, asked, claim, fields, said_by

_MAX_KIB = 2048  # of a file; a shell's or Claude Code's own are not as large
_MAX_FOUND = 200
_FILES = sh(
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
        if ($0 ~ set || $0 ~ json || $0 ~ fish || $0 ~ pam) printf "%s %d %s%c", each[i], FNR, FILENAME, 0
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


class KeySettings(HostFact[list[KeySetting]]):
    """Where shells, units or Claude Code of a user would be given variables of these names."""

    def command(self, user: str, home: str, names: tuple[str, ...]) -> Script:
        """Return the command."""
        look = sh(
            "find -L {files} -maxdepth 0 -type f -readable -size -{size}k -exec awk -v {names} {awk} {{}} +",
            files=_FILES,
            size=_MAX_KIB + 1,
            names=f"names={' '.join(names)}",
            awk=_AWK,
        )
        return asked(said_by(user, home, look))

    default = list

    def process(self, output: list[str]) -> list[KeySetting]:
        """Read `variable line path`, each ended by NUL; what is none of these is left out."""
        found = []
        for each in fields(output):
            for line in claim(each).split("\0")[:_MAX_FOUND]:
                variable, _, rest = line.partition(" ")
                number, _, path = rest.partition(" ")
                if number.isascii() and number.isdigit() and len(number) < 10 and path:
                    found.append(KeySetting(path if path.startswith("/") else f"~/{path}", int(number), variable))
        return found
