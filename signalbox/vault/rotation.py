"""Vault files under a new key: all or none; what was killed on the way is finished by the next rotation.

The new key of a key file lies beside it, on disk, before anything is encrypted with it, and takes its place when all
files are. So at every moment each file opens with one of the two.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from signalbox.fields.paths import kept_beside
from signalbox.vault.crypto import is_generated
from signalbox.vault.errors import VaultError, WrongKeyError
from signalbox.vault.keyring import Keyring, VaultFiles
from signalbox.vault.keys import KeySourceError, new_key, read_key, replacing, write_key_file
from signalbox.vault.storage import UNCHANGED, Replacement, writing
from signalbox.vault.vault import Vault


def rotate(files: VaultFiles, keys: Keyring, scope: str | None, to: str | None) -> list[Path]:
    """Encrypt files anew under a new key; every one is on disk, complete, before the first is put in place.

    Args:
        scope: only this scope's file, with those that share a key file which is replaced; None: all whose key comes
            from where that of all.yml does.
        to: where the new key comes from; None: a new passphrase, or a new key in place of the key file's.

    Returns:
        The files; beside each is the old one, as *.bak.

    Raises:
        SecretError: something cannot be had, decrypted or written; unless it says otherwise no file was changed.
    """
    source = keys.source(scope or "all")
    replaced = Path(source.removeprefix("file:")).expanduser() if source.startswith("file:") and not to else None
    found = [files.path(scope)] if scope and not replaced else files.all()
    paths = [path for path in found if keys.source(files.load(path).scope) == source]
    if not paths or (scope and files.path(scope) not in paths):
        files.load(files.path(scope or "all"))  # tells that there is none
    with ExitStack() as locks:
        for directory in sorted({path.parent for path in paths}):
            locks.enter_context(writing(directory))
        goes_on = to is not None or (replaced is not None and replacing(replaced).exists())
        vaults = {path: _under_old_key(files, keys, path, goes_on) for path in paths}
        key = _key_in(replacing(replaced)) if replaced else _new_key(source, to)
        for path in (path for path, vault in vaults.items() if vault is None):
            Vault.unlock(files.load(path), key, path)
        _encrypt(vaults, key, replaced)
    return paths


def _encrypt(vaults: dict[Path, Vault | None], key: bytes, replaced: Path | None) -> None:
    """Have these files under the key, or as they are now; None: under it already."""
    backups: list[Replacement] = []
    staged: list[Replacement] = []
    try:
        if replaced:
            backups.append(Replacement(kept_beside(replaced), replaced.read_bytes()))
        for path, vault in ((path, vault) for path, vault in vaults.items() if vault):
            renewed = vault.rekeyed(key)
            _prove_same(vault, Vault.unlock(renewed.document, key, path), path)
            backups.append(Replacement(kept_beside(path), path.read_bytes()))
            staged.append(Replacement(path, renewed.document.render()))
        # What needs space is done, only names change from here on.
        for each in (*backups, *staged):
            each.put()
        if replaced:
            _put_key(replaced)
    except BaseException as error:
        if replaced and not replacing(replaced).exists():
            raise  # interrupted when all was done
        for each in backups:
            each.drop()
        left = [each for each in staged if not _taken_back(each)]
        if replaced and not left and None not in vaults.values():
            replacing(replaced).unlink(missing_ok=True)
        if not isinstance(error, VaultError):
            raise
        then = "some files have the new key: run this again, which finishes it" if left else UNCHANGED
        raise error.noting(then) from None


def _taken_back(new: Replacement) -> bool:
    """Put what was there before back; return whether it is there."""
    try:
        if new.placed:
            kept_beside(new.path).replace(new.path.resolve())
    except OSError:
        return False
    new.drop()
    return True


def _under_old_key(files: VaultFiles, keys: Keyring, path: Path, goes_on: bool) -> Vault | None:
    """Open a file; None: the key does not, and it may have the new one by now."""
    try:
        return keys.unlock(files.load(path), path)
    except WrongKeyError:
        if not goes_on:
            raise
        return None


def _new_key(source: str, to: str | None) -> bytes:
    if to is None and source != "prompt":
        raise KeySourceError(
            f"the key comes from {source.split(':')[0]}:…, where only you can change it; say with --to where the "
            "new one comes from, and write that in secrets.key"
        )
    return new_key(to or source, "the vault")


def _key_in(path: Path) -> bytes:
    """The key in this file: a new one, or that of a rotation which was killed."""
    if path.exists():
        if is_generated(path.read_bytes().strip()):
            return read_key(f"file:{path}", "the vault")
        path.unlink()  # half a key, with which nothing was encrypted
    return write_key_file(path)


def _put_key(key_file: Path) -> None:
    try:
        replacing(key_file).replace(key_file)
    except OSError as error:
        raise VaultError(key_file, f"the new key cannot take its place ({error.strerror})") from None


def _prove_same(old: Vault, new: Vault, path: Path) -> None:
    if old.names != new.names or any(old.get(name) != new.get(name) for name in old.names):
        raise VaultError(path, "encrypted anew it would not be the same")
