"""The cures that are safe: each keeps what it replaces, and none touches what another user owns, but as root.

What a user's process told is not believed by root: units are from lists, users from the record of the deploy, and a
path is walked from the user's home without following a link.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..shared import within
from .check import Finding
from .check_protection import EGRESS, FAIL2BAN, FIREWALL, GUARD_UNIT, UPGRADE_TIMERS
from .host_context import ROOT, Here, run
from .shell_files import without


class CannotFixError(Exception):
    """The cure did not work, or what it is for has changed meanwhile."""


def fixable(finding: Finding) -> bool:
    """Tell whether there is a safe cure for this very finding."""
    fix = FIXES.get(finding.symptom)
    return fix is not None and (not fix.needs or any(finding.data.get(name) is not None for name in fix.needs))


def who(finding: Finding) -> str:
    """Return the role that must carry out the cure."""
    return FIXES[finding.symptom].role or finding.role


def apply(finding: Finding, here: Here) -> str:
    """Carry the cure out and return what was done. Raises CannotFixError."""
    try:
        return FIXES[finding.symptom].do(finding, here)
    except OSError as error:
        raise CannotFixError(f"{error.filename or finding.path}: {error.strerror}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # the file or the finding is not what it was
        raise CannotFixError(f"{finding.path}: {type(error).__name__}: {error}") from error


def backup(file: Path) -> Path:
    """Copy a file of this user to where it can be had back from; return where. A copy of this second is the older."""
    base = Path.home() if os.geteuid() else Path("/root")
    kept = base / ".local/state/signalbox/doctor" / time.strftime("%Y%m%dT%H%M%S") / str(file).lstrip("/")
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.path.lexists(kept):
        shutil.copy2(file, kept, follow_symlinks=False)
    return kept


def _write(file: Path, text: str) -> None:
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.write(text)
    shutil.copymode(file, new)
    new.replace(file)


def _comment(finding: Finding, _: Here) -> str:
    file, number = Path(finding.path).resolve(), int(finding.data["line"])  # dotfiles are often links
    text = without(file, number, finding.data["text"])
    if text is None:
        raise CannotFixError(f"{file} has changed meanwhile")
    kept = backup(file)
    _write(file, text)
    if "environment.d" in file.parts:
        run("systemctl", "--user", "daemon-reload")  # the running manager took it from there
    return f"{file}, line {number} is a comment now; as it was: {kept}"


def _settings(finding: Finding, _: Here) -> str:
    file, keys = Path(finding.path).resolve(), list(finding.data["keys"])
    settings: dict[str, Any] = within.json_of(within.text_of(file))
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
    _must("systemctl", "--user", "unset-environment", finding.data["manager"])
    return f"the user manager has no {finding.data['manager']} any more"


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


def _system(verbs: tuple[str, ...], *units: str) -> Callable[[Finding, Here], str]:
    def do(finding: Finding, _: Here) -> str:
        unit = finding.data["unit"]
        if unit not in units:
            raise CannotFixError(f"{unit} is none of {', '.join(units)}")
        run("systemctl", "reset-failed", unit)
        for verb in verbs:
            _must("systemctl", verb, unit)
        return "; ".join(f"systemctl {verb} {unit}" for verb in verbs)

    return do


def _account(finding: Finding, here: Here) -> pwd.struct_passwd:
    """Return the account that the finding names, if it is one of this host's."""
    if finding.data["user"] not in (here.expected["user"], here.expected["gateway"]["user"]):
        raise CannotFixError(f"{finding.data['user']} is no user of Signalbox's")
    return pwd.getpwnam(finding.data["user"])


def _linger(finding: Finding, here: Here) -> str:
    name = _account(finding, here).pw_name
    _must("loginctl", "enable-linger", name)
    return f"{name} lingers"


def _manager(finding: Finding, here: Here) -> str:
    unit = f"user@{_account(finding, here).pw_uid}.service"
    _must("systemctl", "restart", unit, timeout=120)
    return f"{unit} was started"


def _mask(_: Finding, __: Here) -> str:
    units = ("docker.socket", "docker.service", "containerd.service")
    _must("systemctl", "mask", "--now", *units, timeout=120)
    return f"{', '.join(units)} are masked"


def _own(finding: Finding, here: Here) -> str:
    user = _account(finding, here)
    with _opened(Path(user.pw_dir), finding.path) as handle:
        status = os.fstat(handle)
        alone = stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
        if not alone:
            raise CannotFixError(f"{finding.path} is no file or directory that only this home has")
        os.chown(f"/proc/self/fd/{handle}", user.pw_uid, user.pw_gid)
    return f"{finding.path} belongs to {user.pw_name}"


@contextmanager
def _opened(home: Path, path: str) -> Iterator[int]:
    """Open what lies at a path below the home, each step of it in place and no link: the owner may move things."""
    if not Path(path).is_relative_to(home) or ".." in Path(path).parts:
        raise CannotFixError(f"{path} is not in {home}")
    handle = os.open(home, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        steps = Path(path).relative_to(home).parts
        for number, step in enumerate(steps, start=1):
            kind = os.O_DIRECTORY if number < len(steps) else 0
            inner = os.open(step, os.O_PATH | os.O_NOFOLLOW | kind, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


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
    """do: the cure. role: who must do it, None: who found it. needs: what the finding must have told, one of these."""

    do: Callable[[Finding, Here], str]
    role: str | None = None
    needs: tuple[str, ...] = ()


WAYS = ("keys", "line", "manager")
FIXES: dict[str, _Fix] = {
    "no-user-bus": _Fix(_manager, ROOT, ("user",)),
    "linger-off": _Fix(_linger, ROOT, ("user",)),
    "docker-down": _Fix(_unit("restart"), needs=("unit",)),
    "docker-disabled": _Fix(_unit("enable"), needs=("unit",)),
    "root-docker": _Fix(_mask, ROOT),
    "gateway-down": _Fix(_unit("restart"), needs=("unit",)),
    "gateway-disabled": _Fix(_unit("enable"), needs=("unit",)),
    "timer-off": _Fix(_unit("enable", "--now"), needs=("unit",)),
    "firewall-off": _Fix(_system(("enable", "restart"), FIREWALL, EGRESS), ROOT, ("unit",)),
    "fail2ban-off": _Fix(_system(("enable", "restart"), FAIL2BAN), ROOT, ("unit",)),
    "upgrades-off": _Fix(_system(("enable", "restart"), *UPGRADE_TIMERS), ROOT, ("unit",)),
    "guard-off": _Fix(_system(("enable",), GUARD_UNIT), ROOT, ("unit",)),
    "home-open": _Fix(_close, needs=("mode",)),
    "secret-open": _Fix(_close, needs=("mode",)),
    "secret-unreadable": _Fix(_close, needs=("mode",)),
    "launcher-shadowed": _Fix(_aside, needs=("aside",)),
    "alias-and-function": _Fix(_comment, needs=("line",)),
    "billed-subscription": _Fix(_out_of_the_way, needs=WAYS),
    "stray-variable": _Fix(_out_of_the_way, needs=WAYS),
    "deprecated-variable": _Fix(_out_of_the_way, needs=WAYS),
    "bypassed-gateway": _Fix(_settings, needs=("keys",)),
    "beta-header": _Fix(_settings, needs=("keys",)),
    "xhigh": _Fix(_settings, needs=("keys",)),
    "not-yours": _Fix(_own, ROOT, ("user",)),
}
