"""What Signalbox has placed on a host: what is its own to change, to name as stale and to take away.

One small file an entry below MANIFEST, so that an entry is written whole or not at all and a killed run
loses none. An entry is written before its thing is placed: what is on the host is never unknown.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache

from signalbox.shell import Script, sh
from signalbox.untrusted import json_of

STATE = "/var/lib/signalbox"
MANIFEST = f"{STATE}/manifest"
ORIGINALS = f"{STATE}/originals"
CONTROLLERS = f"{STATE}/controllers"
BEFORE = f"{STATE}/etc-before"  # what was there before our first package: paths in /etc, users, groups; one a line
# Others see the names in STATE and what is theirs in it: who may read the audit waits for its changes by a path unit,
# which has to read each directory above.
MAKE = sh("install -d -m 755 {} && install -d -m 700 {} {}", STATE, MANIFEST, ORIGINALS)
MAX_BYTES = 64 * 1024  # of one entry

_PATH = r"(?:/(?!\.{1,2}(?:/|$))[^/\x00-\x1f\x7f]+)+"
_WORDS = r"[^\x00-\x1f\x7f]*"
_ACCOUNT = r"[a-z_][a-z0-9_-]{0,31}\$?"
_PACKAGE = r"[a-z0-9][a-z0-9+.:-]*"
_CONFIGURED = "config-files"  # a package's status: removed, with its configuration kept
# What an entry of each kind may hold: id, hash, original ("": none). A path as original is checked apart.
_SHAPES = {
    kind: tuple(map(re.compile, patterns))
    for kind, patterns in {
        "unit": (r"[\w@.:\\-]+", r"", r""),
        "image": (rf"{_ACCOUNT}:[\w][\w./:@+-]*", r"", r""),
        "link": (_PATH, _WORDS, r""),
        "file": (_PATH, r"(?:[0-9a-f]{64})?", r""),
        "line": (_PATH, _WORDS, r""),
        "choice": (_PATH, r"\w+=\d+", r""),
        "aside": (_PATH, r"", r""),
        "key": (rf"{_ACCOUNT}:[\x20-\x7e]+", r"", r""),
        "tool": (rf"[a-z-]+(?: of {_ACCOUNT})?", r"[\w.:+-]*(?: [\w.:+/=-]*)*", r""),
        "model": (_PATH, r"(?:[0-9a-f]{64} \d+-\d+(?:\.\d+)?-\d+)?", r""),
        "sysctl": (r"[\w./*@:-]+", r"[\w\t .-]*", r"[\w\t .-]*"),
        "container": (rf"{_ACCOUNT}:[\w][\w.-]*", r"[a-z ]*", r"[a-z-]*(?::\d+)?"),
        "directory": (_PATH, r"", r""),
        "package": (_PACKAGE, r"", rf"(?:{_CONFIGURED})?"),
        "replaced": (_PACKAGE, r"[\w.+:~-]+(?: auto)?", _PACKAGE),  # auto: apt's mark
        "shell": (_ACCOUNT, _PATH, _PATH),
        "stopped": (r"[\w@.:\\-]+", r"[\w. ,/-]*", r""),
        "mode": (_PATH, r"go=", r"[0-7]{1,5}"),
        "expiry": (_ACCOUNT, r"", r"-?\d{1,9}"),  # in days since 1970
        "linger": (_ACCOUNT, r"(?:off)?", r""),  # off: it was on
        "subids": (_ACCOUNT, r"\d{0,10}", r"\d{0,10}"),
        "user": (_ACCOUNT, rf"(?:{_PATH})?", r"[0-9]{0,10}"),
    }.items()
}
_KEPT = ("link", "file", "line", "aside")  # kinds whose original is the path of a copy


@dataclass(frozen=True)
class Entry:
    """One placed thing.

    kind: one of signalbox.shell.removal.ORDER, which knows how it is taken away.
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
            values = json_of(line, max_bytes=MAX_BYTES)
        except ValueError:
            return None
        fields = {"kind", "id", "hash", "original"}
        if not isinstance(values, dict) or not {"kind", "id"} <= values.keys() <= fields:
            return None
        if not all(isinstance(value, str) for key, value in values.items() if (key, value) != ("original", None)):
            return None
        entry = cls(**values)
        return entry if entry._is_sound() else None

    def _is_sound(self) -> bool:
        """Return whether each part looks like what we write for this kind: a removal is made of it, as root."""
        if self.kind not in _SHAPES:
            return False
        if self.kind in _KEPT and self.original:
            kept = original_path(self.kind, self.id)
            original = "" if self.original in (kept, f"{kept}{ARCHIVED}") else self.original
        else:
            original = self.original or ""
        parts = zip(_SHAPES[self.kind], (self.id, self.hash, original), strict=True)
        return all(shape.fullmatch(part) for shape, part in parts)


# What was in a home is kept as an archive that its owner made and its owner takes out again; see originals.py.
ARCHIVED = ".tar"


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


@lru_cache(maxsize=1 << 12)
def record(entry: Entry) -> Script:
    """Return the shell command that writes `entry`, atomically and readable by root alone.

    Raises:
        ValueError: it would not be read again as what it is.
    """
    if not entry._is_sound():
        raise ValueError(f"this is no entry of the manifest: {entry}")
    path = entry_path(entry.kind, entry.id)
    return sh(
        "{make} && printf '%s\\n' {line} > {new} && mv {new} {path}",
        make=MAKE,
        line=entry.to_json(),
        new=f"{path}.new",
        path=path,
    )


def forget(kind: str, ident: str) -> Script:
    """Return the shell command that removes the entry of one thing."""
    return sh("rm -f {}", entry_path(kind, ident))
