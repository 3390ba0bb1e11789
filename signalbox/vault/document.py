"""A vault file's text, which is YAML and made for diffs: a header, then one line a secret, sorted by name.

It is read line by line and strictly, not as any YAML: a line that was not written by `Document.render` is told with
its number, a name that is there twice (after a merge) is refused, and the last line `...` shows that none is missing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from signalbox.vault.crypto import KEY_BYTES, NONCE_BYTES, TAG_BYTES, Derivation, decoded, encoded
from signalbox.vault.errors import VaultError

VERSION = 1
NAME = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_SCOPE = re.compile(r"\S{1,253}")
_ID = re.compile(r"[0-9a-f]{32}")
_END = "..."  # YAML's end of a document
_FROM_GIT = "restore it, as with `git checkout -- FILE`"
_COMMENT = "# Names are readable, values are encrypted one by one. `signalbox secrets set NAME` changes one.\n"


@dataclass(frozen=True)
class Document:
    """A vault file as it is written: nothing in it is decrypted.

    `scope`: whose secrets they are, "all", a group or a host. `wrapped`: the data key, encrypted. `values`: encrypted.
    """

    id: str
    scope: str
    derivation: Derivation
    wrapped: bytes
    values: Mapping[str, bytes]

    def identity(self) -> str:
        """What the wrapped data key is bound to."""
        return f"signalbox_vault: {VERSION}\nid: {self.id}\nscope: {self.scope}\nderivation: {self.derivation}\n"

    def about(self, name: str) -> str:
        """What the value of a secret is bound to."""
        return f"signalbox_vault: {VERSION}\nid: {self.id}\nname: {name}\n"

    def render(self) -> str:
        """The file's text."""
        header = f"{self.identity()}key: {encoded(self.wrapped)}\n"
        lines = [f"  {name}: {encoded(self.values[name])}\n" for name in sorted(self.values)]
        return f"{_COMMENT}{header}checksum: {_checksum(header)}\nsecrets:\n{''.join(lines)}{_END}\n"

    @classmethod
    def parse(cls, text: str, path: Path) -> Document:
        """Read a file's text; `path` is for messages.

        Raises:
            VaultError: it is no vault file, or one that was damaged.
        """
        lines = _checked_lines(text, path)
        start = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
        fields = []
        for offset, key in enumerate(("signalbox_vault", "id", "scope", "derivation", "key", "checksum")):
            line = lines[start + offset] if start + offset < len(lines) else ""
            if not line.startswith(f"{key}: "):
                raise _damaged(path, start + offset + 1, f"should be `{key}: …`")
            fields.append(line.removeprefix(f"{key}: "))
        if fields[5] != _checksum("".join(f"{line}\n" for line in lines[start : start + 5])):
            raise VaultError(path, f"its header (lines {start + 1} to {start + 6}) was changed or damaged; {_FROM_GIT}")
        try:
            derivation, wrapped = Derivation.parse(fields[3]), decoded(fields[4])
        except ValueError as error:
            raise _damaged(path, start + 4, str(error)) from None
        sound = _ID.fullmatch(fields[1]) and _SCOPE.fullmatch(fields[2])
        if not sound or len(wrapped) != NONCE_BYTES + KEY_BYTES + TAG_BYTES:
            raise _damaged(path, start + 2, "is no header of a vault")
        if lines[start + 6] != "secrets:":
            raise _damaged(path, start + 7, "should be `secrets:`")
        values = _values(lines[start + 7 : -1], start + 8, path)
        return cls(fields[1], fields[2], derivation, wrapped, values)


def _checked_lines(text: str, path: Path) -> list[str]:
    """The lines of a text that is a whole vault file of the right version."""
    lines = text.split("\n")
    if not text.strip():
        raise VaultError(path, f"is empty; {_FROM_GIT}")
    for number, line in enumerate(lines, 1):
        if re.match(r"(<{7}|\|{7}|>{7})( |$)|={7}$", line):
            raise VaultError(
                path,
                f"holds a merge conflict (line {number}); keep one whole line of each secret and take the marks out, "
                "or, where the header conflicts, keep one side whole; then run `signalbox secrets check`",
            )
    first = next((line for line in lines if not line.startswith("#")), "")
    if first.startswith("$ANSIBLE_VAULT"):
        raise VaultError(path, 'is an Ansible Vault file; set secrets.source to "ansible_vault", or import it')
    version = re.fullmatch(r"signalbox_vault: (\d{1,6})", first)
    if version is None:
        raise VaultError(path, "is no vault file: it does not start with `signalbox_vault:`; move it elsewhere")
    if int(version[1]) > VERSION:
        raise VaultError(
            path, f"was written by a newer Signalbox (format {version[1]}, this one knows {VERSION}); update this one"
        )
    if int(version[1]) < VERSION:
        raise VaultError(path, f"says format {version[1]}, which there never was: it was changed; {_FROM_GIT}")
    if lines[-2:] != [_END, ""]:
        raise VaultError(path, f"is cut off: its last line is not `{_END}`; {_FROM_GIT}")
    return lines[:-1]


def _values(lines: list[str], first: int, path: Path) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for number, line in enumerate(lines, first):
        name, colon, text = line.removeprefix("  ").partition(": ")
        if not line.startswith("  ") or not colon or not NAME.fullmatch(name):
            raise _damaged(path, number, "should be `  NAME: …`")
        if name in values:
            raise VaultError(path, f"has {name} twice (again in line {number}), as after a merge; take one line out")
        try:
            values[name] = decoded(text)
        except ValueError:
            raise VaultError(path, f"the value of {name} (line {number}) was changed or damaged; {_FROM_GIT}") from None
    return values


def _checksum(header: str) -> str:
    """Tells an accident from a wrong key; what tells an attack is that the header is the data key's associated data."""
    return hashlib.sha256(header.encode()).hexdigest()[:16]


def _damaged(path: Path, number: int, text: str) -> VaultError:
    return VaultError(path, f"line {number} was changed or damaged: {text}; {_FROM_GIT}")
