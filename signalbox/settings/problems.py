"""What is wrong with settings, and how it is said: path, what is wrong, what to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyinfra.api.exceptions import DeployError

from signalbox.fields.messages import holds_key
from signalbox.settings.layers import Path

TO_FILL_IN = "is still to be filled in"
_DEMO = "Nothing to try it on yet? `make demo` needs nothing but this machine."
_HOSTS_NAMED = 3  # in front of a message that holds for many


@dataclass(frozen=True)
class Problem:
    """One wrong setting: its path, and one line that says what is wrong and what to write."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}"


class SettingsError(DeployError):
    """Wrong settings of one or more hosts: ends the whole pyinfra run with exit status 1.

    Args:
        problems: of each host's name, its problems. `str()` gives one line each; hosts that share
            a problem share its line.
    """

    def __init__(self, problems: Mapping[str, Sequence[Problem]]) -> None:
        self.problems = {host: list(found) for host, found in problems.items() if found}
        self.lines = _grouped(self.problems)
        count = len(self.lines)
        head = "1 setting is wrong" if count == 1 else f"{count} settings are wrong"
        lines = [f"{head}; nothing was done on any host", *(f"  {line}" for line in self.lines)]
        if any(TO_FILL_IN in line for line in self.lines):
            lines.append(_DEMO)
        super().__init__("\n".join(lines))


def _grouped(problems: Mapping[str, Sequence[Problem]]) -> list[str]:
    hosts_of: dict[str, list[str]] = {}
    for host, found in problems.items():
        for problem in found:
            hosts = hosts_of.setdefault(str(problem), [])
            if host not in hosts:
                hosts.append(host)
    return [f"{_hosts(hosts)}: {line}" for line, hosts in hosts_of.items()]


def _hosts(names: Sequence[str]) -> str:
    more = len(names) - _HOSTS_NAMED
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_HOSTS_NAMED])} and {more} more"


def dotted(path: Path) -> str:
    """`("a", "b", 0)` as `a.b[0]`, on one line; a part that looks like a key is not repeated."""
    text = ""
    for part in path:
        name = "…" if holds_key(str(part)) else str(part).replace("\n", "\\n")
        text += f"[{part}]" if isinstance(part, int) else f".{name}" if text else name
    return text
