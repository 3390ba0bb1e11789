"""What lies at a path, and what the manifest knows of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from pyinfra.api import FactBase

from signalbox.manifest import MANIFEST, Entry, entry_path


def show_entry(entry: str) -> str:
    """Return the shell that prints the manifest entry in this file, as `entry JSON`."""
    # One line of JSON. `read` is the shell's own: a process less for every file we place.
    show = '[ -z "$line" ] || printf \'entry %s\\n\' "$line"'
    return f"[ ! -f {entry} ] || {{ read -r line < {entry}; {show}; }}"


def show_entries(kind: str, paths: Iterable[str]) -> str:
    """Return the shell that prints the manifest entries of these paths, as `show_entry` does."""
    entries = " ".join(shlex.quote(entry_path(kind, path)) for path in paths)
    show = show_entry('"$entry"')
    return f"for entry in {entries}; do {show}; done"


_FOUND = "-printf 'found %y|%m|%u|%g|%p|%l\\n'"
_HASHED = "-type f -exec sha256sum {} +"
_LOOKED_AT = ("file", "link", "mode")  # kinds of the manifest, beside directories
_TYPES = {"f": "file", "d": "directory", "l": "link"}  # find's letters


@dataclass(frozen=True)
class PlacedState:
    """A path as it is (`type` None: absent; file, directory, link or other) and its manifest entry."""

    type: str | None = None
    mode: str = ""
    user: str = ""
    group: str = ""
    sha256: str | None = None
    target: str | None = None
    entry: Entry | None = None


class Placed(FactBase[PlacedState]):
    """The path's type, owner, mode (octal), content hash or link target, with its manifest entry."""

    def command(self, path: str, kind: str) -> str:
        """Return the command; `kind` is the manifest kind under which the path would be recorded."""
        return PlacedEach().command((path,), kind)

    default = PlacedState

    def process(self, output: list[str]) -> PlacedState:
        """Parse the lines of one path."""
        return next(iter(PlacedEach().process(output).values()), PlacedState())


class PlacedEach(FactBase[dict[str, PlacedState]]):
    """What `Placed` tells, of several paths of one kind for little more than the price of one."""

    def command(self, paths: tuple[str, ...], kind: str) -> str:
        """Return the command; no path may hold a line break or "|"."""
        all_paths = " ".join(map(shlex.quote, paths))
        # Two programs for all paths: starting one costs more than what it looks at.
        return f"find {all_paths} -maxdepth 0 {_FOUND} {_HASHED} 2>/dev/null; {show_entries(kind, paths)}"

    default = dict

    def process(self, output: list[str]) -> dict[str, PlacedState]:
        """Parse `found` and `entry` lines, and sha256sum's; a path of which there are none is absent."""
        states: dict[str, PlacedState] = {}

        def learn(path: str, **values: Any) -> None:
            states[path] = replace(states.get(path, PlacedState()), **values)

        for line in output:
            word, _, value = line.partition(" ")
            if word == "entry":
                if entry := Entry.from_json(value):
                    learn(entry.id, entry=entry)
            elif word == "found":
                kind, mode, user, group, path, target = value.split("|", 5)
                named = _TYPES.get(kind, "other")
                learn(path, type=named, mode=mode, user=user, group=group, target=target if kind == "l" else None)
            else:
                learn(value.removeprefix(" "), sha256=word)
        return states


@dataclass(frozen=True)
class DirectoryState:
    """A directory's owner ("user:group"), mode (octal), and whether the manifest says that we made it."""

    owner: str
    mode: str
    ours: bool


class Directories(FactBase[dict[str, DirectoryState]]):
    """Those of the paths that are directories."""

    def command(self, paths: tuple[str, ...]) -> str:
        """Return the command."""
        # The tests are the shell's own, and one stat serves all.
        tests = " ".join(
            f"[ ! -d {path} ] || echo is {path}; [ ! -f {entry} ] || echo ours {path};"
            for path, entry in ((shlex.quote(path), shlex.quote(entry_path("directory", path))) for path in paths)
        )
        return f"stat -c '%U:%G %a %n' {' '.join(map(shlex.quote, paths))} 2>/dev/null; {tests}"

    default = dict

    def process(self, output: list[str]) -> dict[str, DirectoryState]:
        """Parse `OWNER MODE PATH` of what is there, `is PATH` for each directory, `ours PATH` for each that we made."""
        tagged = {tuple(line.split(" ", 1)) for line in output}
        return {
            path: DirectoryState(owner, mode, ("ours", path) in tagged)
            for owner, mode, path in (line.split(" ", 2) for line in output if ":" in line.split(" ", 1)[0])
            if ("is", path) in tagged
        }


FINGERPRINT = "%s-%C@"  # find's directives: bytes and change time, with what its clock has of a second


@dataclass(frozen=True)
class ToolState:
    """A program's fingerprint ("" where it is missing, or the link to it is another) and its manifest entry."""

    fingerprint: str = ""
    entry: Entry | None = None


class Tool(FactBase[ToolState]):
    """A pinned program of root's as it is and as it was installed; or the link in a home that leads to `target`."""

    def command(self, ident: str, binary: str, target: str = "") -> str:
        """Return the command."""
        path, entry = shlex.quote(binary), shlex.quote(entry_path("tool", ident))
        look = f"find {path} -maxdepth 0 -type f -printf 'now {FINGERPRINT}\\n' 2>/dev/null"
        if target:  # compared there: what a user has made the link lead to is not printed
            look = f'[ "$(readlink {path})" != {shlex.quote(target)} ] || echo now linked'
        return f"{look}; {show_entry(entry)}"

    default = ToolState

    def process(self, output: list[str]) -> ToolState:
        """Parse `now` and `entry` lines."""
        values = dict(line.split(" ", 1) for line in output)
        return ToolState(values.get("now", ""), Entry.from_json(values["entry"]) if "entry" in values else None)


@dataclass(frozen=True)
class ManifestState:
    """Every entry of the manifest, and the paths of files in it that nobody can read as one.

    there: what lies at the paths of the entries, without them; a path at which nothing does is left out.
    """

    entries: tuple[Entry, ...] = ()
    unreadable: tuple[str, ...] = ()
    there: Mapping[str, PlacedState] = field(default_factory=dict)

    @cached_property
    def _entries(self) -> dict[tuple[str, str], Entry]:
        return {(entry.kind, entry.id): entry for entry in self.entries}

    def placed(self, kind: str, path: str) -> PlacedState | None:
        """Return what `Placed` would tell; None: it must be asked, there is no entry by which it was looked at."""
        entry = self._entries.get((kind, path))
        if entry is None or not self.there or not (kind == "directory" or (entry.hash and kind in _LOOKED_AT)):
            return None
        if json.dumps(entry.hash + path) != f'"{entry.hash}{path}"':
            return None  # as JSON has it, it is no path
        return replace(self.there.get(path, PlacedState()), entry=entry)


class Manifest(FactBase[ManifestState]):
    """All that Signalbox has placed on the host, as it was placed and as it is now: a converged host in one look."""

    def command(self) -> str:
        """Return the command."""
        # An empty file has no line that grep could show. The shell's own `read` takes a system call a character.
        show = "-size 0 -printf '%p:\\n' -o -exec grep -aHm1 '' {} +"
        # As `Entry.to_json` writes it. A secret has no hash there, and none is told of it here.
        placed = "".join(
            f's#.*"hash": "{digest}", "id": "(/[^"\\\\]*)", "kind": "({kinds})".*#\\1#p;'
            for digest, kinds in (('[^"\\\\]+', "|".join(_LOOKED_AT)), ("", "directory"))
        )
        return (
            f"{{ find {MANIFEST} -maxdepth 1 -type f -name '*-????????' \\( {show} \\);"
            f" sed -En '{placed}' {MANIFEST}/*-???????? | tr '\\n' '\\0'"
            f" | find -files0-from - -maxdepth 0 {_FOUND} {_HASHED}; }} 2>/dev/null; true"
        )

    default = ManifestState

    def process(self, output: list[str]) -> ManifestState:
        """Parse a path and an entry a line, and what is found there as `PlacedEach` does."""
        return _parsed(tuple(output))


@cache
def _parsed(output: tuple[str, ...]) -> ManifestState:
    # Every operation that places something asks, and mostly the answer is the same.
    found = [line.partition(":") for line in sorted(output) if line.startswith(f"{MANIFEST}/")]
    entries = [(path, Entry.from_json(entry)) for path, _, entry in found]
    return ManifestState(
        tuple(entry for _, entry in entries if entry),
        tuple(path for path, entry in entries if entry is None),
        PlacedEach().process([line for line in output if line and not line.startswith(f"{MANIFEST}/")]),
    )
