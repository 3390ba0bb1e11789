"""Where secrets come from: the interface of every source, and what sources share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from signalbox.secrets.secret import Secret, SecretError


class Source(Protocol):
    """Where secrets come from."""

    def find(self, name: str, host: str) -> Secret | None:
        """The secret for that host, or None when this source has none."""

    def where(self, name: str, host: str) -> str:
        """Where the source looks, as an instruction: `export NAME or NAME__HOST`."""


class Readable(Protocol):
    """A file's secrets by name; a dict is one."""

    def get(self, name: str, /) -> Secret | None:
        """The secret, or None."""


class Environment:
    """Environment variables of the controller: NAME__<HOST> over NAME."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables

    def find(self, name: str, host: str) -> Secret | None:
        for variable in (variable_of(name, host), name):
            if value := self._variables.get(variable):
                return Secret(value)
        return None

    def where(self, name: str, host: str) -> str:
        return f"export {name}, or {variable_of(name, host)} for this host alone"


class ScopedFiles:
    """Files with the secrets of all hosts, of a group or of one host: a host's go before its groups' and all's.

    Args:
        patterns: of their paths, such as `secrets/{scope}.yml`; relative to the working directory.
        groups: of the host, the lowest first.
        read: makes one file's secrets available; it is called once for a file while that does not change.
        how: what one does to set a secret, as in `…: write it to secrets/all.age`; takes a name and a path.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        groups: Sequence[str],
        read: Callable[[Path], Readable],
        how: Callable[[str, Path], str],
    ) -> None:
        self._patterns, self._groups, self._read, self._how = patterns, groups, read, how

    def find(self, name: str, host: str) -> Secret | None:
        for path in self._paths(host):
            if path.exists():
                secret = self._read(path).get(name)
                if secret is not None and secret.reveal():
                    return secret
        return None

    def where(self, name: str, host: str) -> str:
        paths = self._paths(host)
        there = [str(path) for path in paths if path.exists()]
        looked = f"looked in {', '.join(there)}" if there else f"none of {', '.join(map(str, paths))} exists"
        return f"{looked}; {self._how(name, paths[-1])}"

    def _paths(self, host: str) -> list[Path]:
        return [path_of(pattern, scope) for scope in scopes(host, self._groups) for pattern in self._patterns]


def scopes(host: str, groups: Sequence[str]) -> list[str]:
    """Whose secrets a host may have, the closest first: its own, its groups' (later over earlier), everybody's."""
    return list(dict.fromkeys((host, *reversed(groups), "all")))


def path_of(pattern: str, scope: str) -> Path:
    """The file of a scope: `("secrets/{scope}.yml", "fd00::1")` -> `secrets/fd00__1.yml`."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", scope)
    return Path(pattern.replace("{scope}", re.sub(r"^\.", "_", name))).expanduser()


def variable_of(name: str, host_name: str) -> str:
    """The environment variable of a secret for one host: `("KEY", "box-1.lan")` -> `KEY__BOX_1_LAN`."""
    return f"{name}__{re.sub(r'[^A-Z0-9]', '_', host_name.upper())}"


def once(read: Callable[[Path], Readable]) -> Callable[[Path], Readable]:
    """`read`, called again for a file only after that has changed: hosts share files, and decryption takes its time."""

    @cache
    def remembered(path: Path, _absolute: Path, _changed: int, _size: int) -> Readable:
        return read(path)

    def current(path: Path) -> Readable:
        try:
            status = path.stat()
        except OSError as error:
            raise SecretError(f"{path}: cannot be read ({error.strerror})") from None
        return remembered(path, path.resolve(), status.st_mtime_ns, status.st_size)

    return current
