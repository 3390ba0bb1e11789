"""What lies at a path, and what the manifest knows of it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Any

from pyinfra.api import FactBase

from signalbox.manifest import MANIFEST, Entry, entry_path


def show_entry(entry: str) -> str:
    """Return the shell that prints the manifest entry in this file, as `entry JSON`."""
    # One line of JSON. `read` is the shell's own: a process less for every file we place.
    show = '[ -z "$line" ] || printf \'entry %s\\n\' "$line"'
    return f"[ ! -f {entry} ] || {{ read -r line < {entry}; {show}; }}"


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
        entries = " ".join(shlex.quote(entry_path(kind, path)) for path in paths)
        show = show_entry('"$entry"')
        # Two programs for all paths: starting one costs more than what it looks at.
        found = "-printf 'found %y|%m|%u|%g|%p|%l\\n' -type f -exec sha256sum {} + 2>/dev/null"
        return f"find {all_paths} -maxdepth 0 {found}; for entry in {entries}; do {show}; done"

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


@dataclass(frozen=True)
class ToolState:
    """A program's size and change time ("" where it is missing) and its manifest entry."""

    fingerprint: str = ""
    entry: Entry | None = None


class Tool(FactBase[ToolState]):
    """A pinned program as it is and as it was installed."""

    def command(self, ident: str, binary: str) -> str:
        """Return the command."""
        entry = shlex.quote(entry_path("tool", ident))
        return f"stat -L -c 'now %s-%Z' {shlex.quote(binary)} 2>/dev/null; {show_entry(entry)}"

    default = ToolState

    def process(self, output: list[str]) -> ToolState:
        """Parse `now` and `entry` lines."""
        values = dict(line.split(" ", 1) for line in output)
        return ToolState(values.get("now", ""), Entry.from_json(values["entry"]) if "entry" in values else None)


@dataclass(frozen=True)
class ManifestState:
    """Every entry of the manifest, and the paths of files in it that nobody can read as one."""

    entries: tuple[Entry, ...] = ()
    unreadable: tuple[str, ...] = ()


class Manifest(FactBase[ManifestState]):
    """All that Signalbox has placed on the host."""

    def command(self) -> str:
        """Return the command."""
        # An empty file has no line that grep could show. The shell's own `read` takes a system call a character.
        show = "-size 0 -printf '%p:\\n' -o -exec grep -aHm1 '' {} +"
        return f"find {MANIFEST} -maxdepth 1 -type f -name '*-????????' \\( {show} \\) 2>/dev/null || true"

    default = ManifestState

    def process(self, output: list[str]) -> ManifestState:
        """Parse a path and an entry a line."""
        found = [(path, Entry.from_json(line)) for path, _, line in (line.partition(":") for line in sorted(output))]
        entries = tuple(entry for _, entry in found if entry)
        return ManifestState(entries, tuple(path for path, entry in found if entry is None))
