"""The tamper table: each way to damage or forge a vault file, and what the vault says of it."""

from __future__ import annotations

import hashlib
import string
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from signalbox.secrets import Secret, SecretError
from signalbox.vault.crypto import decoded, encoded
from signalbox.vault.document import Document
from signalbox.vault.vault import Vault

PATH = Path("secrets/all.yml")
KEY = b"signalbox-key-" + b"A" * 43
SECRETS = {"A_KEY": "marked-value-1c5e", "B_KEY": "marked-value-9d20", "LONG": "x" * 3000}


def vault(secrets: dict[str, str] = SECRETS, key: bytes = KEY, scope: str = "all") -> Vault:
    """Return a vault with these secrets."""
    empty = Vault.create(scope, key, PATH)
    return empty.with_values((name, Secret(value)) for name, value in secrets.items())


def unlocked(text: str, key: bytes = KEY) -> Vault:
    """Return the vault of a file's text."""
    return Vault.unlock(Document.parse(text, PATH), key, PATH)


def shown(vault: Vault) -> dict[str, str]:
    """Return all of its secrets."""
    return {name: value.reveal() for name in vault.names if (value := vault.get(name)) is not None}


Tamper = Callable[[str], str]


def field(name: str, change: Callable[[str], str], fix_checksum: bool = False) -> Tamper:
    def tamper(text: str) -> str:
        lines = text.split("\n")
        index = next(i for i, line in enumerate(lines) if line.strip().startswith(f"{name}: "))
        before, _, value = lines[index].partition(": ")
        lines[index] = f"{before}: {change(value)}"
        return rechecked("\n".join(lines)) if fix_checksum else "\n".join(lines)

    return tamper


def rechecked(text: str) -> str:
    """With the checksum that the changed header should have: what an attacker would write."""
    lines = text.split("\n")
    checksum = hashlib.sha256("".join(f"{line}\n" for line in lines[1:6]).encode()).hexdigest()[:16]
    lines[6] = f"checksum: {checksum}"
    return "\n".join(lines)


def flipped(byte: int) -> Callable[[str], str]:
    """One bit of that byte of base64's data, in the last word of the line."""

    def flip(value: str) -> str:
        head, space, last = value.rpartition(" ")
        head, salt, last = (head + space, "salt=", last[5:]) if last.startswith("salt=") else (head + space, "", last)
        data = bytearray(decoded(last))
        data[byte] ^= 1
        return f"{head}{salt}{encoded(bytes(data))}"

    return flip


def spare_bit(value: str) -> str:
    """Another text of the same bytes: base64 leaves bits of its last character unused."""
    assert value.endswith("==")
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    return f"{value[:-3]}{alphabet[alphabet.index(value[-3]) + 1]}=="


def swap(text: str) -> str:
    lines = text.split("\n")
    a, b = (next(i for i, line in enumerate(lines) if line.startswith(f"  {name}: ")) for name in ("A_KEY", "B_KEY"))
    lines[a], lines[b] = lines[a].replace("A_KEY", "B_KEY"), lines[b].replace("B_KEY", "A_KEY")
    return "\n".join(lines)


def moved_from_another_file(text: str) -> str:
    other = vault({"A_KEY": "marked-value-other"}).document.values["A_KEY"]
    return field("A_KEY", lambda _: encoded(other))(text)


def header_of_another(text: str) -> str:
    other = vault({}).document.render().split("\n")
    return "\n".join([*other[:8], *text.split("\n")[8:]])


def twice(text: str) -> str:
    line = next(line for line in text.split("\n") if line.startswith("  A_KEY"))
    return text.replace(line, f"{line}\n{line}")


def conflict(text: str) -> str:
    line = next(line for line in text.split("\n") if line.startswith("  A_KEY"))
    return text.replace(f"{line}\n", f"<<<<<<< HEAD\n{line}\n=======\n{line}\n>>>>>>> theirs\n")


def newline_in_scope(text: str) -> str:
    return text.replace("scope: all", "scope: all\nscope: box1")


KEY_MESSAGE = "this is not its key"
HEADER = r"its header \(lines 2 to 7\) was changed or damaged"
VALUE = "the value of A_KEY was changed, or comes from another file or name"

TAMPERS: dict[str, tuple[Tamper, str]] = {
    # flipped bits, in every part
    "id, one digit": (
        field("id", lambda value: value.translate({ord(value[0]): "f" if value[0] != "f" else "e"})),
        HEADER,
    ),
    "salt, one bit": (field("derivation", flipped(0)), HEADER),
    "wrapped key, a bit of its nonce": (field("key", flipped(0)), HEADER),
    "wrapped key, a bit of its tag": (field("key", flipped(-1)), HEADER),
    "checksum, one digit": (field("checksum", lambda value: ("0" if value[0] != "0" else "1") + value[1:]), HEADER),
    "value, a bit of its nonce": (field("A_KEY", flipped(0)), VALUE),
    "value, a bit of its text": (field("A_KEY", flipped(14)), VALUE),
    "value, a bit of its tag": (field("A_KEY", flipped(-1)), VALUE),
    "value, one character that is not base64's": (
        field("A_KEY", lambda value: "*" + value[1:]),
        r"the value of A_KEY \(line 9\) was changed or damaged",
    ),
    "value, a bit that base64 leaves unused": (
        field("LONG", spare_bit),
        r"the value of LONG \(line 11\) was changed or damaged",
    ),
    "value, cut short": (field("A_KEY", lambda value: value[:8]), VALUE),
    "value, empty": (field("A_KEY", lambda _: ""), r"the value of A_KEY was changed|line 9"),
    # the same by somebody who knows the format
    "id, with a right checksum": (field("id", lambda _: "0" * 32, True), KEY_MESSAGE),
    "scope, with a right checksum": (field("scope", lambda _: "box1", True), KEY_MESSAGE),
    "salt, with a right checksum": (field("derivation", flipped(3), True), KEY_MESSAGE),
    "wrapped key, with a right checksum": (field("key", flipped(20), True), KEY_MESSAGE),
    "weaker derivation": (field("derivation", lambda v: f"scrypt n=16384 r=8 p=1 {v.split()[-1]}", True), KEY_MESSAGE),
    "derivation that costs nothing": (
        field("derivation", lambda v: f"scrypt n=2 r=8 p=1 {v.split()[-1]}", True),
        "scrypt parameters out of range",
    ),
    "derivation that eats the machine": (
        field("derivation", lambda v: f"scrypt n=16777216 r=8 p=1 {v.split()[-1]}", True),
        "scrypt parameters out of range",
    ),
    "derivation of another kind": (field("derivation", lambda _: "none", True), "no derivation that is known"),
    # moved
    "two values swapped": (swap, "the value of A_KEY is that of B_KEY: it was moved or renamed"),
    "a value copied over another": (
        lambda text: field("A_KEY", lambda _: encoded(Document.parse(text, PATH).values["B_KEY"]))(text),
        "the value of A_KEY is that of B_KEY",
    ),
    "a secret renamed": (lambda text: text.replace("  A_KEY:", "  C_KEY:"), "the value of C_KEY was changed, or comes"),
    "a value of another file": (moved_from_another_file, VALUE),
    "the header of another file": (header_of_another, VALUE),
    # versions
    "an older header": (field("signalbox_vault", lambda _: "0"), "says format 0, which there never was"),
    "a newer header": (field("signalbox_vault", lambda _: "2"), r"newer Signalbox \(format 2, this one knows 1\)"),
    "no header": (lambda text: "\n".join(text.split("\n")[2:]), "is no vault file"),
    # cut off and merged
    "empty": (lambda _: "", "is empty"),
    "cut in the header": (lambda text: text[:200], "is cut off"),
    "cut in a value": (lambda text: text[:-30], "is cut off"),
    "cut between two lines": (lambda text: "\n".join(text.split("\n")[:-3]) + "\n", "is cut off"),
    "a merge conflict": (conflict, r"holds a merge conflict \(line 9\)"),
    "a name twice": (twice, r"has A_KEY twice \(again in line 10\)"),
    "a line of its own kind": (lambda text: text.replace("...", "  note\n..."), "should be `  NAME: …`"),
    "a second scope": (newline_in_scope, "should be `derivation: …`"),
    "Ansible's": (lambda _: "$ANSIBLE_VAULT;1.1;AES256\n3132\n", "is an Ansible Vault file"),
}


def told(case: str) -> str:
    """Return what is said of a file with this damage.

    AssertionError unless the file was sound before and is refused now, with the right words and no value among them.
    """
    tamper, message = TAMPERS[case]
    text = vault().document.render()
    assert shown(unlocked(text)) == SECRETS, "the vault was not sound before"
    changed = tamper(text)
    assert changed != text, "nothing was tampered with"
    with pytest.raises(SecretError, match=message) as caught:
        shown(unlocked(changed))
    assert "marked-value" not in "".join(traceback.format_exception(caught.value)), "a value is told"
    assert str(caught.value).startswith("secrets/all.yml: ")
    return str(caught.value)
