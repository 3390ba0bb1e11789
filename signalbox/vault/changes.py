"""What `signalbox secrets` does to vault files: each change under the lock, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from signalbox.secrets.secret import SecretError
from signalbox.vault.errors import VaultError
from signalbox.vault.keys import KeySourceError, new_key, write_key_file
from signalbox.vault.reading import Keyring, VaultFiles
from signalbox.vault.storage import Replacement, save, writing
from signalbox.vault.vault import Vault


@dataclass
class Checked:
    """A vault file that was looked at; `secrets`: how many it has. `problems`: each as one line, with the path."""

    path: Path
    secrets: int = 0
    problems: list[str] = field(default_factory=list)


def create(files: VaultFiles, keys: Keyring, scope: str) -> Path:
    """Make a scope's file, without secrets.

    Raises:
        SecretError: it is there already, its key cannot be had, or it cannot be written.
    """
    path = files.path(scope)
    with writing(path.parent):
        if path.exists():
            raise VaultError(path, "is there already; `signalbox secrets set` adds to it")
        save(path, Vault.create(scope, keys.new(scope, path), path).document.render())
    return path


def change(files: VaultFiles, keys: Keyring, scope: str, how: Callable[[Vault], Vault]) -> Path | None:
    """Change a scope's file.

    Args:
        how: returns the changed vault; what it raises ends this with nothing written.

    Returns:
        The file, or None when nothing was to be changed.

    Raises:
        SecretError: the file is damaged or locked, its key cannot be had, or it cannot be written.
    """
    path = files.path(scope)
    if not path.parent.is_dir():
        files.load(path)  # tells that there is none
    with writing(path.parent):
        vault = keys.unlock(files.load(path), path)
        changed = how(vault)
        if changed.document == vault.document:
            return None
        save(path, changed.document.render())
    return path


def rotate(files: VaultFiles, keys: Keyring, scope: str | None, to: str | None) -> list[Path]:
    """Encrypt files anew under a new key; every one is on disk, complete, before the first is put in place.

    Args:
        scope: only this scope's file; None: all whose key comes from where that of all.yml does.
        to: where the new key comes from; None: a new passphrase, or a new key in place of the key file's.

    Returns:
        The files; beside each is the old one, as *.bak.

    Raises:
        SecretError: something cannot be had, decrypted or written; no file was changed.
    """
    source = keys.source(scope or "all")
    found = [files.path(scope)] if scope else files.all()
    paths = [path for path in found if keys.source(files.load(path).scope) == source]
    if not paths:
        files.load(files.path("all"))  # tells that there is none
    with ExitStack() as locks:
        for directory in sorted({path.parent for path in paths}):
            locks.enter_context(writing(directory))
        vaults = [keys.unlock(files.load(path), path) for path in paths]
        key, key_file = _new_key(source, to)
        backups: list[Replacement] = []
        staged: list[Replacement] = []
        placed: list[Path] = []
        try:
            if key_file:
                backups.append(Replacement(_backup(key_file), key_file.read_bytes()))
            for vault, path in zip(vaults, paths, strict=True):
                renewed = vault.rekeyed(key)
                _prove_same(vault, Vault.unlock(renewed.document, key, path), path)
                backups.append(Replacement(_backup(path), path.read_bytes()))
                staged.append(Replacement(path, renewed.document.render()))
            # What needs space is done, only names change from here on.
            for each in backups:
                each.put()
            for each in staged:
                each.put()
                placed.append(each.path)
            if key_file:
                _put_key(key_file)
        except BaseException:
            for path in placed:
                _backup(path).replace(path.resolve())
            for each in (*backups, *staged):
                each.drop()
            if key_file:
                _new(key_file).unlink(missing_ok=True)
            raise
    return paths


def _backup(path: Path) -> Path:
    return path.with_name(f"{path.name}.bak")


def _new(key_file: Path) -> Path:
    return key_file.with_name(f"{key_file.name}.new")


def check(files: VaultFiles, keys: Keyring | None) -> list[Checked]:
    """Read every file and, with keys, decrypt every value."""
    found = [Checked(path) for path in files.all()]
    for each in found:
        try:
            document = files.load(each.path)
            each.secrets = len(document.values)
            vault = keys.unlock(document, each.path) if keys else None
        except SecretError as error:
            each.problems.append(str(error))
            continue
        for name in vault.names if vault else ():
            try:
                vault.get(name) if vault else None
            except SecretError as error:
                each.problems.append(str(error))
    return found


def _new_key(source: str, to: str | None) -> tuple[bytes, Path | None]:
    """Return the new key and, where it shall replace a key file's, that file; the new key is beside it by now."""
    if to is not None or source == "prompt":
        return new_key(to or source, "the vault"), None
    if not source.startswith("file:"):
        raise KeySourceError(
            f"the key comes from {source.split(':')[0]}:…, where only you can change it; say with --to where the "
            "new one comes from, and write that in secrets.key"
        )
    path = Path(source.removeprefix("file:")).expanduser()
    if _new(path).exists():
        raise KeySourceError(f"{_new(path)}: is left from a rotation that did not end; see which key opens the vault")
    return write_key_file(_new(path)), path


def _put_key(key_file: Path) -> None:
    try:
        _new(key_file).replace(key_file)
    except OSError as error:
        raise KeySourceError(
            f"{key_file}: the new key cannot take its place ({error.strerror}); nothing was changed"
        ) from None


def _prove_same(old: Vault, new: Vault, path: Path) -> None:
    if old.names != new.names or any(old.get(name) != new.get(name) for name in old.names):
        raise VaultError(path, "encrypted anew it would not be the same; nothing was changed")
