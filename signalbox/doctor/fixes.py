"""The cures that are safe: each keeps what it replaces, and none touches what another user owns, but as root."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .check import Finding
from .here import ROOT, Here, run

MARK = "# taken out by claude-doctor: "


class CannotFixError(Exception):
    """The cure did not work, or what it is for has changed meanwhile."""


def fixable(finding: Finding) -> bool:
    """Tell whether there is a safe cure for this very finding."""
    fix = FIXES.get(finding.symptom)
    return fix is not None and all(finding.data.get(name) is not None for name in fix.needs)


def who(finding: Finding) -> str:
    """Return the role that must carry out the cure."""
    return FIXES[finding.symptom].role or finding.role


def apply(finding: Finding, here: Here) -> str:
    """Carry the cure out and return what was done. Raises CannotFixError."""
    try:
        return FIXES[finding.symptom].do(finding, here)
    except OSError as error:
        raise CannotFixError(f"{error.filename or finding.path}: {error.strerror}") from error


def backup(file: Path) -> Path:
    """Copy a file of this user to where it can be had back from; return where."""
    base = Path.home() if os.geteuid() else Path("/root")
    kept = base / ".local/state/signalbox/doctor" / time.strftime("%Y%m%dT%H%M%S") / str(file).lstrip("/")
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy2(file, kept, follow_symlinks=False)
    return kept


def _write(file: Path, text: str) -> None:
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text)
    shutil.copymode(file, new)
    new.replace(file)


def _comment(finding: Finding, _: Here) -> str:
    file, number = Path(finding.path), int(finding.data["line"])
    lines = file.read_text().splitlines(keepends=True)
    if number > len(lines) or lines[number - 1].rstrip("\n") != finding.data["text"]:
        raise CannotFixError(f"{file} has changed meanwhile")
    kept = backup(file)
    lines[number - 1] = MARK + lines[number - 1]
    _write(file, "".join(lines))
    if "environment.d" in file.parts:
        run("systemctl", "--user", "daemon-reload")  # the running manager took it from there
    return f"{file}, line {number} is a comment now; as it was: {kept}"


def _settings(finding: Finding, _: Here) -> str:
    file, keys = Path(finding.path), list(finding.data["keys"])
    settings: dict[str, Any] = json.loads(file.read_text())
    kept = backup(file)
    block = settings
    for key in keys[:-1]:
        block = block[key]
    if "value" in finding.data:
        block[keys[-1]] = finding.data["value"]
    else:
        block.pop(keys[-1], None)
        if len(keys) > 1 and not block:
            settings.pop(keys[0])
    _write(file, json.dumps(settings, indent=2) + "\n")
    return f"{'.'.join(keys)} of {file} is {finding.data.get('value', 'gone')}; as it was: {kept}"


def _out_of_the_way(finding: Finding, here: Here) -> str:
    """A setting is a line of a shell file or a key of a settings file; a manager's variable needs unsetting."""
    if "keys" in finding.data:
        return _settings(finding, here)
    if "line" in finding.data:
        return _comment(finding, here)
    if finding.data.get("manager") and finding.seen.startswith("the running user manager"):
        _must("systemctl", "--user", "unset-environment", finding.data["manager"])
        return f"the user manager has no {finding.data['manager']} any more"
    raise CannotFixError("close that shell, and log in again")


def _close(finding: Finding, _: Here) -> str:
    path = Path(finding.path)
    path.chmod(finding.data["mode"])
    return f"{path} has the mode {finding.data['mode']:o}"


def _unit(*verb: str) -> Callable[[Finding, Here], str]:
    def do(finding: Finding, _: Here) -> str:
        unit = finding.data["unit"]
        run("systemctl", "--user", "reset-failed", unit)
        _must("systemctl", "--user", *verb, unit, timeout=240)
        return f"systemctl --user {' '.join(verb)} {unit}"

    return do


def _system(*verbs: str) -> Callable[[Finding, Here], str]:
    def do(finding: Finding, _: Here) -> str:
        unit = finding.data["unit"]
        run("systemctl", "reset-failed", unit)
        for verb in verbs:
            _must("systemctl", verb, unit)
        return "; ".join(f"systemctl {verb} {unit}" for verb in verbs)

    return do


def _linger(finding: Finding, _: Here) -> str:
    _must("loginctl", "enable-linger", finding.data["user"])
    return f"{finding.data['user']} lingers"


def _manager(finding: Finding, _: Here) -> str:
    import pwd

    unit = f"user@{pwd.getpwnam(finding.data['user']).pw_uid}.service"
    _must("systemctl", "restart", unit, timeout=120)
    return f"{unit} was started"


def _mask(_: Finding, __: Here) -> str:
    units = ("docker.socket", "docker.service", "containerd.service")
    _must("systemctl", "mask", "--now", *units, timeout=120)
    return f"{', '.join(units)} are masked"


def _own(finding: Finding, _: Here) -> str:
    import pwd

    user = pwd.getpwnam(finding.data["user"])
    os.chown(finding.path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    return f"{finding.path} belongs to {user.pw_name}"


def _aside(finding: Finding, here: Here) -> str:
    path = Path(finding.path)
    if not path.is_relative_to(here.home):
        raise CannotFixError(f"{path} is not in the home of {here.user}")
    kept = backup(path)
    path.unlink()
    return f"{path} is gone; it is kept as {kept}"


def _must(*command: str, timeout: float = 60) -> None:
    status, said = run(*command, timeout=timeout)
    if status:
        raise CannotFixError(f"{' '.join(command)}: {said.splitlines()[-1] if said else f'ended with {status}'}")


@dataclass(frozen=True)
class _Fix:
    """do: the cure. role: who must do it, None: who found it. needs: what the finding must have told."""

    do: Callable[[Finding, Here], str]
    role: str | None = None
    needs: tuple[str, ...] = ()


FIXES: dict[str, _Fix] = {
    "no-user-bus": _Fix(_manager, ROOT, ("user",)),
    "linger-off": _Fix(_linger, ROOT, ("user",)),
    "docker-down": _Fix(_unit("restart"), needs=("unit",)),
    "docker-disabled": _Fix(_unit("enable"), needs=("unit",)),
    "root-docker": _Fix(_mask, ROOT),
    "gateway-down": _Fix(_unit("restart"), needs=("unit",)),
    "gateway-disabled": _Fix(_unit("enable"), needs=("unit",)),
    "timer-off": _Fix(_unit("enable", "--now"), needs=("unit",)),
    "firewall-off": _Fix(_system("enable", "restart"), ROOT, ("unit",)),
    "fail2ban-off": _Fix(_system("enable", "restart"), ROOT, ("unit",)),
    "upgrades-off": _Fix(_system("enable", "restart"), ROOT, ("unit",)),
    "guard-off": _Fix(_system("enable"), ROOT, ("unit",)),
    "home-open": _Fix(_close, needs=("mode",)),
    "secret-open": _Fix(_close, needs=("mode",)),
    "launcher-shadowed": _Fix(_aside),
    "alias-and-function": _Fix(_comment, needs=("line", "text")),
    "billed-subscription": _Fix(_out_of_the_way),
    "stray-variable": _Fix(_out_of_the_way),
    "deprecated-variable": _Fix(_out_of_the_way),
    "bypassed-gateway": _Fix(_settings, needs=("keys",)),
    "beta-header": _Fix(_settings, needs=("keys",)),
    "xhigh": _Fix(_settings, needs=("keys",)),
    "not-yours": _Fix(_own, ROOT, ("user",)),
}
