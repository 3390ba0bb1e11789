"""An open vault file: its secrets can be read, and changed copies of it made. Nothing here reads or writes files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from signalbox.secrets.secret import Secret
from signalbox.vault.crypto import DamagedError, Derivation, new_data_key, seal, unseal
from signalbox.vault.document import Document
from signalbox.vault.errors import VaultError, WrongKeyError


class Vault:
    """A document and the data key that opens its values; it does not change, its `with_…` methods return new ones."""

    def __init__(self, document: Document, data_key: bytes, path: Path) -> None:
        self.document, self._data_key, self._path = document, data_key, path

    @classmethod
    def create(cls, scope: str, key: bytes, path: Path) -> Vault:
        """A new vault without secrets, with an id and a data key of its own."""
        data_key = new_data_key()
        empty = Document(os.urandom(16).hex(), scope, Derivation.suited_to(key), b"", {})
        wrapped = seal(empty.derivation.derive(key), data_key, empty.identity())
        return cls(replace(empty, wrapped=wrapped), data_key, path)

    @classmethod
    def unlock(cls, document: Document, key: bytes, path: Path) -> Vault:
        """Open a document.

        Raises:
            WrongKeyError: with this key it does not open.
        """
        try:
            data_key = unseal(document.derivation.derive(key), document.wrapped, document.identity())
        except DamagedError:
            raise WrongKeyError(
                path, "this is not its key; nothing was read (see secrets.key and secrets.keys in your settings)"
            ) from None
        return cls(document, data_key, path)

    @property
    def names(self) -> list[str]:
        """The names of its secrets, sorted."""
        return sorted(self.document.values)

    def get(self, name: str, /) -> Secret | None:
        """A secret, or None when there is none of that name.

        Raises:
            VaultError: the value was changed, or belongs to another name or file.
        """
        if name not in self.document.values:
            return None
        plain = self._opened(name, name)
        if plain is None:
            raise VaultError(self._path, self._why(name))
        return Secret(plain.decode())

    def with_values(self, values: Iterable[tuple[str, Secret]]) -> Vault:
        """The same with these secrets set; values that are as they were keep their ciphertext."""
        sealed = dict(self.document.values)
        for name, secret in values:
            plain = secret.reveal().encode()
            if name not in sealed or self._opened(name, name) != plain:
                sealed[name] = seal(self._data_key, plain, self.document.about(name))
        return Vault(replace(self.document, values=sealed), self._data_key, self._path)

    def without(self, names: Iterable[str]) -> Vault:
        """The same without these secrets."""
        gone = set(names)
        left = {name: value for name, value in self.document.values.items() if name not in gone}
        return Vault(replace(self.document, values=left), self._data_key, self._path)

    def rekeyed(self, key: bytes) -> Vault:
        """The same secrets under a new key, data key and id: the old key and old values open nothing of it.

        Raises:
            VaultError: a value cannot be decrypted.
        """
        secrets = [(name, value) for name in self.names if (value := self.get(name)) is not None]
        return Vault.create(self.document.scope, key, self._path).with_values(secrets)

    def _opened(self, name: str, about: str) -> bytes | None:
        try:
            return unseal(self._data_key, self.document.values[name], self.document.about(about))
        except DamagedError:
            return None

    def _why(self, name: str) -> str:
        for other in self.names:
            if self._opened(name, other) is not None:
                return f"the value of {name} is that of {other}: it was moved or renamed; set {name} again"
        return (
            f"the value of {name} was changed, or comes from another file or name; restore the line, "
            f"or set it again: signalbox secrets set {name}"
        )
