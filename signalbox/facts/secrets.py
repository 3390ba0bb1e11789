"""Secrets on a host: what their files hold, told in a way that tells nothing."""

from __future__ import annotations

import hashlib
import hmac
import shlex
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pyinfra.api import FactBase

from signalbox.facts.placed import show_entries
from signalbox.manifest import Entry
from signalbox.run_as import run_as

# A fresh salt each look, and scrypt: who sees the answer (pyinfra -vvv) cannot look it up, nor guess a weak token fast.
# Both sides pay it for every secret in every run.
_COST = {"n": 1024, "r": 8, "p": 1}
_PROGRAM = f"""
import hashlib, os, sys
cost = {_COST}
for path, value in zip(sys.argv[1:], sys.stdin.buffer.read().split(b"\\0")):
    if value := value.strip():
        salt = os.urandom(16)
        print("seen", salt.hex(), hashlib.scrypt(value, salt=salt, **cost).hex(), path)
"""


def reader(path: str) -> str:
    """Return the shell command that prints the secret in a file, for its owner; a `.cred` file is decrypted."""
    if not path.endswith(".cred"):
        return f"cat {shlex.quote(path)}"
    return f"systemd-creds --user decrypt --name={credential_name(path)} {shlex.quote(path)} -"


def credential_name(path: str) -> str:
    """Return the name that an encrypted file is bound to: `…/KEY.cred` is KEY, and renamed it does not decrypt."""
    return path.rsplit("/", 1)[1].removesuffix(".cred")


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


class SecretFiles(FactBase[dict[str, SecretState]]):
    """Files of secrets, by path, as their owner can read them: nothing that could be compared is stored on the host."""

    def command(self, paths: tuple[str, ...], user: str, home: str) -> str:
        """Return the command."""
        named = " ".join(map(shlex.quote, paths))
        read = "; ".join(f"{reader(path)}; printf '\\0'" for path in paths)
        look = f"stat -c 'owner %a %U %n' {named}; {{ {read}; }} | python3 -ISc {shlex.quote(_PROGRAM)} {named}"
        return f"{show_entries('file', paths)}; {{ {run_as(user, home, look)}; }} 2>/dev/null || true"

    default = dict

    def process(self, output: list[str]) -> dict[str, SecretState]:
        """Parse the `entry`, `owner` and `seen` lines; a path of which there are none is absent."""
        states: dict[str, SecretState] = {}

        def learn(path: str, **values: Any) -> None:
            states[path] = replace(states.get(path, SecretState()), **values)

        for line in output:
            word, _, rest = line.partition(" ")
            if word == "entry":
                if entry := Entry.from_json(rest):
                    learn(entry.id, entry=entry)
            elif word == "owner":
                mode, user, path = rest.split(" ", 2)
                learn(path, mode=mode, user=user)
            else:
                salt, digest, path = rest.split(" ", 2)
                learn(path, salt=salt, digest=digest)
        return states
