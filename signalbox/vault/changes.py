"""What `signalbox secrets` does to vault files: each change under the lock, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from signalbox.secrets.secret import SecretError
from signalbox.vault.errors import VaultError
from signalbox.vault.keyring import Keyring, VaultFiles
from signalbox.vault.storage import save, writing
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
