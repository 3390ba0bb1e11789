"""What Signalbox has placed on a host: what is its own to change, to name as stale and to take away.

One small file an entry below MANIFEST, so that an entry is written whole or not at all and a killed run
loses none. An entry is written before its thing is placed: what is on the host is never unknown.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import asdict, dataclass

STATE = "/var/lib/signalbox"
MANIFEST = f"{STATE}/manifest"
ORIGINALS = f"{STATE}/originals"
CONTROLLERS = f"{STATE}/controllers"
# Others may pass through STATE, to what is theirs in it (the audit), and see nothing else.
MAKE = f"install -d -m 711 {STATE} && install -d -m 700 {MANIFEST} {ORIGINALS}"


@dataclass(frozen=True)
class Entry:
    """One placed thing.

    kind: one of signalbox.removal.ORDER, which knows how it is taken away.
    id: its path or name. hash: sha256 or version of what was placed, "" where there is none.
    original: path of the copy of what it replaced, None where nothing was there.
    """

    kind: str
    id: str
    hash: str = ""
    original: str | None = None

    def to_json(self) -> str:
        """Return the entry as the one line of JSON that its file holds."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, line: str) -> Entry | None:
        """Read the line that `to_json` wrote; None for anything else, such as what a crash has left of one."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            return None


def _file_name(kind: str, ident: str) -> str:
    # The readable part is for people; the digest keeps /a/b and /a-b apart.
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", ident).strip("-")[-80:]
    return f"{kind}-{readable}-{hashlib.sha256(ident.encode()).hexdigest()[:8]}"


def entry_path(kind: str, ident: str) -> str:
    """Return the path of the manifest file of one thing."""
    return f"{MANIFEST}/{_file_name(kind, ident)}"


def original_path(kind: str, ident: str) -> str:
    """Return where the original of a replaced thing is kept."""
    return f"{ORIGINALS}/{_file_name(kind, ident)}"


def record(entry: Entry) -> str:
    """Return the shell command that writes `entry`, atomically and readable by root alone."""
    path = shlex.quote(entry_path(entry.kind, entry.id))
    return f"{MAKE} && printf '%s\\n' {shlex.quote(entry.to_json())} > {path}.new && mv {path}.new {path}"


def forget(kind: str, ident: str) -> str:
    """Return the shell command that removes the entry of one thing."""
    return f"rm -f {shlex.quote(entry_path(kind, ident))}"
