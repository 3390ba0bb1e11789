"""The vault as a source of secrets, and the keys that open its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from glob import glob
from pathlib import Path

from signalbox.secrets.source import Readable, once, path_of
from signalbox.vault.document import Document
from signalbox.vault.errors import VaultError, WrongKeyError
from signalbox.vault.keys import new_key, read_key, replacing
from signalbox.vault.storage import load
from signalbox.vault.vault import Vault


class Keyring:
    """The keys of vault files: each from its source; a passphrase that was typed is tried on the next file first.

    Args:
        source: of the key of every file, as the setting `secrets.key`.
        others: scope: source, where a file has another, as `secrets.keys`.
    """

    def __init__(self, source: str, others: Mapping[str, str]) -> None:
        self._source, self._others = source, others
        self._typed: list[bytes] = []
        self._read: dict[str, bytes] = {}

    def source(self, scope: str) -> str:
        """Where the key of that scope's file comes from."""
        return self._others.get(scope, self._source)

    def unlock(self, document: Document, path: Path) -> Vault:
        """Open a file.

        Raises:
            SecretError: its key cannot be had, or does not open it.
        """
        source = self.source(document.scope)
        if source != "prompt":
            if source not in self._read:
                self._read[source] = read_key(source, str(path))
            try:
                return Vault.unlock(document, self._read[source], path)
            except WrongKeyError as error:
                raise WrongKeyError(path, f"{error.text}{self._interrupted(source, document.scope)}") from None
        for key in self._typed:
            try:
                return Vault.unlock(document, key, path)
            except WrongKeyError:
                continue
        key = read_key(source, str(path))
        vault = Vault.unlock(document, key, path)
        self._typed.append(key)
        return vault

    def new(self, scope: str, path: Path) -> bytes:
        """The key for that scope's file, which is being made.

        Raises:
            SecretError: there is none, or a weak one.
        """
        key = new_key(self.source(scope), str(path))
        if self.source(scope) == "prompt":
            self._typed.append(key)
        return key

    def _interrupted(self, source: str, scope: str) -> str:
        if not source.startswith("file:") or not replacing(Path(source.removeprefix("file:")).expanduser()).exists():
            return ""
        which = "" if source == self.source("all") else f" --for {scope}"
        return f"; a rotation was interrupted: `signalbox secrets rotate-key{which}` finishes it"


class VaultFiles:
    """The files of a vault: `secrets/all.yml` and one for each group or host that has secrets of its own."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def path(self, scope: str) -> Path:
        """The file of a scope, which need not exist."""
        return path_of(self.pattern, scope)

    def all(self) -> list[Path]:
        """The files that exist, all.yml first."""
        found = map(Path, glob(str(Path(self.pattern.replace("{scope}", "*")).expanduser())))
        return sorted(found, key=lambda path: (path != self.path("all"), path))

    def load(self, path: Path) -> Document:
        """Read one; it must be where its scope says.

        Raises:
            VaultError: it is damaged, or was made for another name.
        """
        document = load(path)
        if self.path(document.scope) != path:
            raise VaultError(
                path,
                f"was made as {self.path(document.scope)}, for {document.scope}: it was renamed or copied; move it "
                "back, or make one for the new name (`signalbox secrets init --for …`) and set its secrets again",
            )
        return document


@cache  # so that hosts share what was read and typed
def vault_reader(pattern: str, source: str, others: tuple[tuple[str, str], ...]) -> Callable[[Path], Readable]:
    """What opens a vault's files; arguments as of VaultFiles and Keyring."""
    files, keys = VaultFiles(pattern), Keyring(source, dict(others))
    return once(lambda path: keys.unlock(files.load(path), path))
