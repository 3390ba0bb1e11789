"""Which facts take part in reading ahead: those known to look and never to touch, asked in the plainest way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyinfra.api import FactBase, StringCommand

# Facts of pyinfra that read, whatever their arguments. Not here: server.Command is any code, the files.Find* facts
# take find's own arguments (-delete), and clocks and loads are asked because they move.
_PYINFRA = {
    "pyinfra.facts.apt": "AptSources",
    "pyinfra.facts.deb": "DebArch DebPackage DebPackages",
    "pyinfra.facts.files": "Block Directory File FileContents FindInFile Flags Link Md5File Sha1File Sha256File "
    "Sha384File Socket",
    "pyinfra.facts.server": "Arch AuthorizedKeys Groups Home Hostname Kernel KernelModules KernelVersion "
    "LinuxDistribution LsbRelease Mounts Os OsRelease OsVersion Path Sysctl TmpDir User Users Which",
    "pyinfra.facts.systemd": "SystemdEnabled SystemdStatus",
}
_READ_ONLY = {(module, name) for module, names in _PYINFRA.items() for name in names.split()}
_OURS = "signalbox.facts"

# Longer commands are asked in the ordinary way and not kept.
MAX_COMMAND = 16 * 1024
_DEFAULTS = {"_shell_executable": "sh", "_success_exit_codes": [0]}
PRIVILEGES = ("_sudo", "_sudo_user", "_sudo_password")
# Privileges are told apart below, and pyinfra's retries are for operations.
_IRRELEVANT = {*PRIVILEGES, "_retries", "_retry_delay", "_retry_until"}


@dataclass(frozen=True)
class Privileges:
    """As whom a fact is asked: the login user, or sudo to `sudo_user` (None: root)."""

    sudo: bool = False
    sudo_user: str | None = None


@dataclass(frozen=True)
class Question:
    """One fact as it is asked: a command for `sh -c`, before any privilege is wrapped around it."""

    command: str
    privileges: Privileges = Privileges()


def only_reads(fact: type[FactBase[Any]]) -> bool:
    """Tell whether this very class is known to leave a host as it is; a subclass elsewhere is not."""
    module = fact.__module__
    return module == _OURS or module.startswith(f"{_OURS}.") or (module, fact.__name__) in _READ_ONLY


def privileges_of(arguments: Mapping[str, Any]) -> Privileges:
    """Return as whom a call with these connector arguments runs."""
    sudo = bool(arguments.get("_sudo"))
    return Privileges(sudo, (arguments.get("_sudo_user") or None) if sudo else None)


def question(command: str | StringCommand, arguments: Mapping[str, Any]) -> Question | None:
    """Return what is asked, or None where it is not for a record or not asked in the plainest way.

    Args:
        command: a fact's own command.
        arguments: pyinfra's connector arguments (`_sudo`, `_env` …) and print flags of the call.
    """
    if isinstance(command, StringCommand):
        raw, masked = command.get_raw_value(), command.get_masked_value()
    else:
        raw = masked = command
    # An environment may hold secrets; a terminal, a time limit, output to be shown are for the ordinary way.
    plain = all(
        not value or key in _IRRELEVANT or value == _DEFAULTS.get(key) for key, value in arguments.items()
    ) and bool(arguments.get("_shell_executable", "sh"))
    if raw != masked or not plain or len(raw) > MAX_COMMAND or "\0" in raw:
        return None
    return Question(raw, privileges_of(arguments))
