"""Files of Ansible Vault, read as they are: whole files, and `!vault` values within YAML. Ansible is not needed.

The format, 1.1 and 1.2: https://docs.ansible.com/ansible/latest/vault_guide/vault_using_encrypted_content.html
(section "Format of files encrypted with Ansible Vault"): PBKDF2-HMAC-SHA256 with 10,000 rounds, AES-256-CTR and
HMAC-SHA256.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7

from signalbox.secrets.file_formats import of_mapping, read_text, secrets_of
from signalbox.secrets.secret import Secret, SecretError
from signalbox.secrets.source import Readable, once
from signalbox.vault.keys import read_key

_HEADER = "$ANSIBLE_VAULT;"
_ROUNDS = 10_000


@cache  # so that hosts share what was read and typed
def reader(source: str) -> Callable[[Path], Readable]:
    """What opens Ansible Vault files with the password from `source`, as the setting `secrets.key`."""
    passwords: list[bytes] = []

    def password(path: Path) -> bytes:
        if not passwords:
            passwords.append(read_key(source, str(path)))
        return passwords[0]

    return once(lambda path: _Names(_read(path, lambda: password(path)), path))


class _Names:
    """Secrets by name, where Ansible's variables are in lower case."""

    def __init__(self, secrets: dict[str, Secret], path: Path) -> None:
        self._secrets, self._path = secrets, path

    def get(self, name: str, /) -> Secret | None:
        for each in (name, name.lower(), f"vault_{name.lower()}"):
            if each in self._secrets:
                if "{{" in self._secrets[each].reveal():
                    raise SecretError(
                        f"{self._path}: {each} is a template, which only Ansible fills in; write its value"
                    )
                return self._secrets[each]
        return None


def _read(path: Path, password: Callable[[], bytes]) -> dict[str, Secret]:
    text = read_text(path)
    if text.lstrip().startswith(_HEADER):
        return secrets_of(decrypt(text, password(), str(path)), str(path))

    class Loader(yaml.BaseLoader):
        """YAML with `!vault` values."""

    def vault(_loader: yaml.BaseLoader, node: yaml.Node) -> str:
        return decrypt(str(node.value), password(), f"{path}, line {node.start_mark.line + 1}")

    Loader.add_constructor("!vault", vault)
    try:
        data: Any = yaml.load(text, Loader)  # noqa: S506 (BaseLoader makes texts, lists and dicts alone)
    except yaml.YAMLError:
        raise SecretError(f"{path}: is neither an Ansible Vault file nor YAML") from None
    return of_mapping(data, str(path))


def decrypt(text: str, password: bytes, what: str) -> str:
    """The plain text of `$ANSIBLE_VAULT;1.1;AES256…`.

    Raises:
        SecretError: wrong password, damaged, or another format.
    """
    header, *lines = text.strip().splitlines() or [""]
    words = header.strip().split(";")
    if words[1:2] not in (["1.1"], ["1.2"]) or words[2:3] != ["AES256"]:
        raise SecretError(f"{what}: is not of a format that is known, $ANSIBLE_VAULT;1.1;AES256 or 1.2")
    try:
        salt, signature, sealed = (
            bytes.fromhex(part) for part in bytes.fromhex("".join(map(str.strip, lines))).decode("ascii").split("\n")
        )
    except ValueError:
        raise SecretError(f"{what}: is damaged or cut off; restore it") from None
    derived = PBKDF2HMAC(algorithm=SHA256(), length=80, salt=salt, iterations=_ROUNDS).derive(password.strip())
    check = HMAC(derived[32:64], SHA256())
    check.update(sealed)
    try:
        check.verify(signature)
    except InvalidSignature:
        raise SecretError(f"{what}: the password (secrets.key) does not open it, or it was changed") from None
    decryptor = Cipher(AES(derived[:32]), CTR(derived[64:])).decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        return (unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()).decode()
    except ValueError:
        raise SecretError(f"{what}: what it holds is no text") from None
