"""Secrets on a host: what their files hold, told in a way that tells nothing."""

from __future__ import annotations

import hashlib
import hmac
import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase

from signalbox.facts.placed import show_entry
from signalbox.manifest import Entry, entry_path
from signalbox.run_as import run_as

# A fresh salt each look, and scrypt: who sees the answer (pyinfra -vvv) cannot look it up, nor guess a weak token fast.
_COST = {"n": 4096, "r": 8, "p": 1}
_PROGRAM = (
    "import hashlib,os,sys;v=sys.stdin.buffer.read().strip();s=os.urandom(16);"
    f"v and print('seen',s.hex(),hashlib.scrypt(v,salt=s,n={_COST['n']},r={_COST['r']},p={_COST['p']}).hex())"
)


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
        if not self.digest:
            return False
        expected = hashlib.scrypt(value.encode(), salt=bytes.fromhex(self.salt), **_COST)
        return hmac.compare_digest(expected.hex(), self.digest)


class SecretFile(FactBase[SecretState]):
    """A secret's file as its owner can read it: nothing that could be compared is stored on the host."""

    def command(self, path: str, user: str, home: str) -> str:
        """Return the command."""
        look = f"stat -c 'owner %a %U' {shlex.quote(path)}; {reader(path)} | python3 -ISc {shlex.quote(_PROGRAM)}"
        return (
            f"{show_entry(shlex.quote(entry_path('file', path)))};"
            f" {{ {run_as(user, home, look)}; }} 2>/dev/null || true"
        )

    default = SecretState

    def process(self, output: list[str]) -> SecretState:
        """Parse the `entry`, `owner` and `seen` lines."""
        values = dict(line.split(" ", 1) for line in output if " " in line)
        mode, user = values.get("owner", " ").split(" ")
        salt, digest = values.get("seen", " ").split(" ")
        entry = Entry.from_json(values["entry"]) if "entry" in values else None
        return SecretState(mode, user, salt, digest, entry)
