"""Secrets on a host: what their files hold, told in a way that tells nothing."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from functools import cache

from signalbox.facts.placed import entry_of, show_entries
from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, asked, claim, records, said_by
from signalbox.shell.manifest import Entry
from signalbox.shell.secret_files import careful_reader

# A fresh salt each look, and scrypt: who sees the answer (pyinfra -vvv) cannot look it up, nor guess a weak token fast.
# Both sides pay it for every secret in every run.
_COST = {"n": 1024, "r": 8, "p": 1}
_PROGRAM = f"""
import hashlib, os, sys
cost = {_COST}
for path, value in zip(sys.argv[1:], sys.stdin.buffer.read().split(b"\\0")):
    if value := value.strip():
        salt = os.urandom(16)
        print("seen", salt.hex(), hashlib.scrypt(value, salt=salt, **cost).hex(), path, end="\\0")
"""


@dataclass(frozen=True)
class SecretState:
    """A secret's file; `digest` is "" where there is nothing, or nothing that its owner can decrypt.

    mode: octal digits. user: its owner. entry: the manifest's.
    """

    mode: str = ""
    user: str = ""
    salt: str = ""
    digest: str = ""
    entry: Entry | None = None

    def holds(self, value: str) -> bool:
        """Return whether the file holds this value."""
        return bool(self.digest) and hmac.compare_digest(_digest(value, self.salt), self.digest)


@cache
def _digest(value: str, salt: str) -> str:
    return hashlib.scrypt(value.encode(), salt=bytes.fromhex(salt), **_COST).hex()


_SAID = re.compile(
    r"owner (?P<mode>[0-7]{1,5}) (?P<user>\S{1,64}) (?P<of>/.+)|"
    r"seen (?P<salt>[0-9a-f]{32}) (?P<digest>[0-9a-f]{128}) (?P<path>/.+)",
    re.DOTALL,
)


class SecretFiles(HostFact[dict[str, SecretState]]):
    """Files of secrets, by path, as their owner can read them: nothing that could be compared is stored on the host."""

    def command(self, paths: tuple[str, ...], user: str, home: str) -> Script:
        """Return the command."""
        # The NUL that ends a secret here is none of the secret's own.
        read = each_of(*(sh("{} | tr -d '\\0'; printf '\\0'", careful_reader(path)) for path in paths))
        look = sh(
            "stat --printf='owner %a %U %n\\0' {paths}; {{ {read}; }} | python3 -ISc {program} {paths}",
            paths=paths,
            read=read,
            program=_PROGRAM,
        )
        return asked(each_of(show_entries("file", paths), sh("printf 'said\\0'; {}", said_by(user, home, look))))

    default = dict

    def process(self, output: list[str]) -> dict[str, SecretState]:
        """Read the entries, and what the owner's processes said; a path of which there is nothing is absent."""
        states: dict[str, SecretState] = {}
        for record in records(output, {"entry": 2, "said": 1}):
            if record[0] == "entry":
                if entry := entry_of("file", record[1], record[2]):
                    states[record[1]] = SecretState(entry=entry)
                continue
            for said in map(_SAID.fullmatch, claim(record[1]).split("\0")):
                if said and said["of"]:
                    before = states.get(said["of"], SecretState())
                    states[said["of"]] = replace(before, mode=said["mode"], user=said["user"])
                elif said:
                    before = states.get(said["path"], SecretState())
                    states[said["path"]] = replace(before, salt=said["salt"], digest=said["digest"])
        return states
