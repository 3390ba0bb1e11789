"""Who looks: root asks each user's own processes, so that nothing of a user is touched with more rights than theirs."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from . import check_host, check_lanes, check_models, check_protection, check_servers, check_services  # noqa: F401 (they register their checks)
from .check import CHECKS, Finding, Outcome, causes, look, plain
from .fixes import CannotFixError, apply, fixable, who
from .here import AGENT, KEEPER, ROOT, SYSTEM_PATH, Here
from .symptoms import symptoms

LIMIT = 150  # seconds that a user's process may take in all

# A user's process starts from the very program that root runs: from a file that others cannot change, or from stdin.
Program = Sequence[str]


def roles_of(user: str, expected: Mapping[str, Any]) -> frozenset[str]:
    """Return what `user` is on this host."""
    named = {"root": ROOT}.get(user)
    roles = [named, AGENT if user == expected["user"] else None]
    roles.append(KEEPER if user == expected["gateway"]["user"] else None)
    return frozenset(role for role in roles if role)


class People:
    """All who can look from here: this process itself, and, as root, the users' processes."""

    def __init__(self, here: Here, program: Program, source: bytes = b"") -> None:
        """`program`: argv that starts this program for a user; `source`: what it wants on stdin before its request."""
        self._here, self._program, self._source = here, program, source

    def look(self) -> list[Outcome]:
        """Run all checks, everybody's side by side."""
        others = self._others()
        with ThreadPoolExecutor(max_workers=3) as pool:
            mine = pool.submit(look, self._here)
            theirs = [pool.submit(self._ask, user, {"do": "look"}) for user in others]
            outcomes = mine.result()
            for user, answer in zip(others, theirs, strict=True):
                outcomes += self._told(user, answer.result())
        return outcomes

    def _told(self, user: str, answer: dict[str, Any]) -> list[Outcome]:
        """Return what a user's process has told, as far as it is that user's to tell: it may be anybody's by now."""
        roles = roles_of(user, self._here.expected)
        try:
            if "outcomes" not in answer:
                raise ValueError(answer.get("error", "it told nothing"))
            told = [Outcome.from_json(each) for each in answer["outcomes"]]
            if any((each.check, each.role) not in CHECKS or each.role not in roles for each in told):
                raise ValueError("it told of what is not its own")
            if any(finding.symptom not in symptoms() for each in told for finding in each.findings):
                raise ValueError("it told of a symptom that there is not")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return [Outcome("looking", min(roles), f"Looking as {user}", (), plain(f"{error}"), 0)]
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
                told = self._ask(user, {"do": "fix", "finding": asdict(finding)})
                if "error" in told:
                    raise CannotFixError(plain(str(told["error"])))
                return plain(str(told.get("done")))
        raise CannotFixError(f"only {role} can do that; run claude-doctor --fix as root")

    def ask_as(self, user: str, request: dict[str, Any]) -> dict[str, Any]:
        """Have a user's process do something; {"error": why} where it could not."""
        return self._ask(user, request)

    def _others(self) -> list[str]:
        if os.geteuid():
            return []
        users = [self._here.expected["user"], self._here.expected["gateway"]["user"]]
        return [user for user in dict.fromkeys(users) if _exists(user)]

    def _ask(self, user: str, request: dict[str, Any]) -> dict[str, Any]:
        wanted = {**request, "expected": self._here.expected, "billed": self._here.billed, "quick": self._here.quick}
        home = pwd.getpwnam(user).pw_dir
        environment = {"HOME": home, "USER": user, "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}
        try:
            done = subprocess.run(
                ["runuser", "-u", user, "--", *self._program],
                input=self._source + json.dumps(wanted).encode(),
                env=environment,
                cwd="/",
                capture_output=True,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"no end within {LIMIT} s"}
        except OSError as error:
            return {"error": f"the look as {user} could not begin: {error}"}
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            said = done.stderr.decode(errors="replace").strip()[-300:]
            return {"error": f"the look as {user} broke off: {said}"}
        return answer if isinstance(answer, dict) else {"error": f"the look as {user} told no object"}


def serve(request: dict[str, Any]) -> int:
    """Be a user's process: answer root's request on stdout."""
    expected = request["expected"]
    me = pwd.getpwuid(os.geteuid()).pw_name
    here = Here(expected, roles_of(me, expected), request["billed"], request["quick"])
    if request["do"] == "look":
        answer: dict[str, Any] = {"outcomes": [each.to_json() for each in look(here)]}
    elif request["do"] in ("fallback", "local"):
        answer = check_models.one_request(here, request["model"], fallback=request["do"] == "fallback")
    else:
        try:
            answer = {"done": apply(Finding(**request["finding"]), here)}
        except CannotFixError as error:
            answer = {"error": str(error)}
    print(json.dumps(answer))
    return 0


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
