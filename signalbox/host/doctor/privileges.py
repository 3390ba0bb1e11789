"""Who looks: root has a process become each user, so that nothing of a user is touched with more rights than theirs."""

from __future__ import annotations

import json
import os
import pwd
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ..shared.output import shown
from ..shared.within import json_of
from . import (  # noqa: F401 (they register their checks)
    check_host,
    check_lanes,
    check_models,
    check_money,
    check_protection,
    check_sent,
    check_servers,
    check_services,
    check_speed,
)
from .check import CHECKS, Finding, Outcome, causes, look
from .check_host import home_of, placed_below
from .fixes import CannotFixError, apply, fixable, who
from .host_context import AGENT, KEEPER, ROOT, SYSTEM_PATH, Here
from .symptoms import symptoms

LIMIT = 150  # seconds that a user's process may take in all
TOLD = 8 << 20  # bytes that it may tell
DYING = 2  # seconds that one which was killed is waited for: it may hang in a file system of its user's


def roles_of(user: str, expected: Mapping[str, Any]) -> frozenset[str]:
    """Return what `user` is on this host."""
    named = {"root": ROOT}.get(user)
    roles = [named, AGENT if user == expected["user"] else None]
    roles.append(KEEPER if user == expected["gateway"]["user"] else None)
    return frozenset(role for role in roles if role)


class People:
    """All who can look from here: this process itself, and, as root, the users' processes."""

    def __init__(self, here: Here) -> None:
        """`here`: what this process is, and looks for."""
        self._here = here

    def look(self) -> list[Outcome]:
        """Run all checks, everybody's side by side."""
        # Before the looks have threads: a process that is begun has one alone.
        theirs = {user: _Process(user, self._here, {"do": "look"}) for user in self._others()}
        outcomes = look(self._here)
        for user, process in theirs.items():
            outcomes += self._told(user, process.answer())
        return outcomes

    def _told(self, user: str, answer: dict[str, Any]) -> list[Outcome]:
        """Return what a user's process has told, as far as it is that user's to tell: it may be anybody's by now."""
        roles = roles_of(user, self._here.expected)
        try:
            if "outcomes" not in answer:
                raise ValueError(answer.get("error", "it told nothing"))
            told = [Outcome.from_json(each) for each in answer["outcomes"]]
            strange = any((each.check, each.role) not in CHECKS or each.role not in roles for each in told)
            if strange or len(told) > len(CHECKS):
                raise ValueError("it told of what is not its own")
            if any(finding.symptom not in symptoms() for each in told for finding in each.findings):
                raise ValueError("it told of a symptom that there is not")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return [Outcome("looking", min(roles), f"Looking as {user}", (), shown(f"{error}"), 0)]
        return told

    def findings(self) -> tuple[list[Outcome], list[Finding]]:
        """Look; return everything and the causes."""
        outcomes = self.look()
        return outcomes, causes(outcomes)

    def fix(self, finding: Finding) -> str:
        """Carry out the safe cure of a finding as the one who may. Raises CannotFixError."""
        if not fixable(finding):
            raise CannotFixError("there is no safe cure")
        role = who(finding)
        if role in self._here.roles:
            return apply(finding, self._here)
        for user in self._others():
            if role in roles_of(user, self._here.expected):
                told = self.ask_as(user, {"do": "fix", "finding": asdict(finding)})
                if "error" in told:
                    raise CannotFixError(shown(str(told["error"])))
                return shown(str(told.get("done")))
        raise CannotFixError(f"only {role} can do that; run claude-doctor --fix as root")

    def ask_as(self, user: str, request: dict[str, Any]) -> dict[str, Any]:
        """Have a user's process do something; {"error": why} where it could not."""
        return _Process(user, self._here, request).answer()

    def _others(self) -> list[str]:
        if os.geteuid():
            return []
        users = [self._here.expected["user"], self._here.expected["gateway"]["user"]]
        return [user for user in dict.fromkeys(users) if _exists(user)]


class _Process:
    """A process of root's that has become a user for good, and does one thing as that user."""

    def __init__(self, user: str, here: Here, request: dict[str, Any]) -> None:
        self._user, self._until = user, time.monotonic() + LIMIT
        things = placed_below(home_of(user) or "/nowhere") if request["do"] == "look" else ()
        self._pipe, answer = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(answer)
            return
        try:
            _leave_all_files_but(answer)
            _become(user)
            told = _served(replace(here, roles=roles_of(user, here.expected), placed=things), request)
        except BaseException as error:  # whatever it is, nothing else of root's may go on in a user's process
            told = {"error": f"the look as {user} broke off: {type(error).__name__}: {error}"}
        try:
            with open(answer, "w") as out:
                out.write(json.dumps(told) + "\n")
        finally:
            os._exit(0)

    def answer(self) -> dict[str, Any]:
        """Wait for what it tells; {"error": why} where there is nothing."""
        try:
            told = json_of(self._read())
        except ValueError:
            return {"error": f"the look as {self._user} broke off"}
        except TimeoutError as error:
            return {"error": str(error)}
        finally:
            os.close(self._pipe)
            self._end()
        return told if isinstance(told, dict) else {"error": f"the look as {self._user} told no object"}

    def _read(self) -> bytes:
        read = b""
        while select.select([self._pipe], [], [], max(self._until - time.monotonic(), 0))[0]:
            more = os.read(self._pipe, 1 << 16)
            read += more
            if not more or more.endswith(b"\n"):
                return read
            if len(read) > TOLD:
                raise TimeoutError(f"it tells more than {TOLD >> 20} MiB")
        raise TimeoutError(f"no end within {LIMIT} s")

    def _end(self) -> None:
        """Have the process gone; one that cannot be ended now goes when it can."""
        os.kill(self._pid, signal.SIGKILL)  # not waited for yet, so the number is its own; it has told all
        until = time.monotonic() + DYING
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0) and time.monotonic() < until:
            time.sleep(0.01)


def _leave_all_files_but(one: int) -> None:
    """Close what root has open: a pipe on which another user's process tells is that user's alone."""
    os.closerange(3, one)
    os.closerange(one + 1, os.sysconf("SC_OPEN_MAX"))


def _become(user: str) -> None:
    """Give up all that root may and has, for good."""
    account = pwd.getpwnam(user)
    os.initgroups(user, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    os.chdir("/")
    os.environ.clear()
    os.environ.update({"HOME": account.pw_dir, "USER": user, "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"})
    nothing = os.open(os.devnull, os.O_RDWR)
    for terminal in range(3):
        os.dup2(nothing, terminal)
    if nothing > 2:
        os.close(nothing)


def _served(here: Here, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "look":
        return {"outcomes": [each.to_json() for each in look(here)]}
    if request["do"] in ("fallback", "local"):
        return check_models.one_request(here, request["model"], fallback=request["do"] == "fallback")
    try:
        return {"done": apply(Finding(**request["finding"]), here)}
    except CannotFixError as error:
        return {"error": str(error)}


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
