"""What lies at a path, and what the manifest knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

from signalbox.facts.look import SHAPES, Look, found, looks, manifest_entries, manifest_paths
from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, asked, records
from signalbox.shell.manifest import MANIFEST, Entry, entry_path
from signalbox.shell.originals import owner_of

_LOOKED_AT = ("file", "link", "mode")  # kinds of the manifest, beside directories


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
    leads: bool = False  # it is a directory, or a link to one


def show_entries(kind: str, idents: Iterable[str]) -> Script:
    """Return the shell that prints an `entry` record of each of these things that the manifest knows: id, line."""
    # `read` is the shell's own, and what lies here is root's: no more than one line, and no NUL in it.
    shown = sh("[ ! -f {file} ] || {{ read -r line < {file}; printf 'entry\\0%s\\0%s\\0' {ident} \"$line\"; }}",
               file=sh('"$f"'), ident=sh('"$i"'))  # fmt: skip
    each = [sh("f={}; i={}; {}", entry_path(kind, ident), ident, shown) for ident in idents]
    return each_of(*each) if each else Script("true")


def entry_of(kind: str, ident: str, line: str) -> Entry | None:
    """Return the entry that stands in the file of this thing; None where that is another one, or none."""
    entry = Entry.from_json(line)
    return entry if entry and (entry.kind, entry.id) == (kind, ident) else None


def states(told: Sequence[tuple[str, ...]]) -> dict[str, PlacedState]:
    """Return what `at` and `hash` records tell, by path; a path of which there are none is absent."""
    seen: dict[str, PlacedState] = {}
    for record in told:
        if record[0] == "at":
            each = found(record)
            target = each.target if each.type == "link" else None
            seen[each.path] = PlacedState(each.type, each.mode, each.user, each.group, None, target, None, each.leads)
        elif record[0] == "hash" and record[1] in seen:
            seen[record[1]] = replace(seen[record[1]], sha256=record[2])
    return seen


class Placed(HostFact[PlacedState]):
    """The path's type, owner, mode (octal), content hash or link target, with its manifest entry."""

    def command(self, path: str, kind: str) -> Script:
        """Return the command; `kind` is the manifest kind under which the path would be recorded."""
        return PlacedEach().command((path,), kind)

    default = PlacedState

    def process(self, output: list[str]) -> PlacedState:
        """Read the records of one path."""
        return next(iter(PlacedEach().process(output).values()), PlacedState())


class PlacedEach(HostFact[dict[str, PlacedState]]):
    """What `Placed` tells, of several paths of one kind for little more than the price of one."""

    def command(self, paths: tuple[str, ...], kind: str) -> Script:
        """Return the command."""
        what = "stat" if kind in ("link", "mode", "directory") else "hash"
        look = looks(Look(what, owner_of(path), path) for path in paths)
        entries = [sh("printf 'kind\\0%s\\0' {}", kind), show_entries(kind, paths)]
        return asked(each_of(*entries, look))

    default = dict

    def process(self, output: list[str]) -> dict[str, PlacedState]:
        """Read the records; a path of which there are none is absent."""
        told = list(records(output, {**SHAPES, "kind": 1}))
        kind = next((record[1] for record in told if record[0] == "kind"), "")
        seen = states(told)
        for _, path, line in (record for record in told if record[0] == "entry"):
            seen[path] = replace(seen.get(path, PlacedState()), entry=entry_of(kind, path, line))
        return seen


@dataclass(frozen=True)
class DirectoryState:
    """A directory as it is: `owner` as user:group, `mode` in octal digits, `ours` whether we made it."""

    owner: str
    mode: str
    ours: bool


class Directories(HostFact[dict[str, DirectoryState]]):
    """Those of the paths that are directories, or links to one."""

    def command(self, paths: tuple[str, ...]) -> Script:
        """Return the command."""
        return PlacedEach().command(paths, "directory")

    default = dict

    def process(self, output: list[str]) -> dict[str, DirectoryState]:
        """Read what lies at the paths."""
        return {
            path: DirectoryState(f"{state.user}:{state.group}", state.mode, ours=state.entry is not None)
            for path, state in PlacedEach().process(output).items()
            if state.leads
        }


FINGERPRINT = "%s-%C@"  # find's directives: bytes and change time, with what its clock has of a second


@dataclass(frozen=True)
class ToolState:
    """A program's fingerprint ("" where it is missing, or the link to it is another) and its manifest entry."""

    fingerprint: str = ""
    entry: Entry | None = None


class Tool(HostFact[ToolState]):
    """A pinned program of root's as it is and as it was installed; or the link in a home that leads to `target`."""

    def command(self, ident: str, binary: str, target: str = "") -> Script:
        """Return the command."""
        ask = sh("printf 'tool\\0%s\\0%s\\0' {} {}", ident, target)
        if target:
            look = looks([Look("stat", owner_of(binary), binary)])
        else:
            look = sh("printf 'now\\0'; find {} -maxdepth 0 -type f -printf {}; printf '\\0'", binary, FINGERPRINT)
        return asked(each_of(ask, show_entries("tool", [ident]), look))

    default = ToolState

    def process(self, output: list[str]) -> ToolState:
        """Read its records."""
        fingerprint, entry, ident, target = "", None, "", ""
        for record in records(output, {**SHAPES, "tool": 2, "now": 1}):
            if record[0] == "tool":
                _, ident, target = record
            elif record[0] == "entry":
                entry = entry_of("tool", ident, record[2])
            elif record[0] == "now":
                fingerprint = record[1]
            elif record[0] == "at" and found(record).type == "link" and found(record).target == target:
                fingerprint = "linked"
        return ToolState(fingerprint, entry)


@dataclass(frozen=True)
class ManifestState:
    """Every entry of the manifest, and the paths of files in it that nobody can read as one."""

    entries: tuple[Entry, ...] = ()
    unreadable: tuple[str, ...] = ()

    @cached_property
    def _entries(self) -> dict[tuple[str, str], Entry]:
        return {(entry.kind, entry.id): entry for entry in self.entries}

    def entry(self, kind: str, ident: str) -> Entry | None:
        """Return the entry of one thing."""
        return self._entries.get((kind, ident))


class Manifest(HostFact[ManifestState]):
    """All that Signalbox has placed on the host; what it prints is root's own and nothing else."""

    def command(self) -> Script:
        """Return the command."""
        return asked(manifest_entries())

    default = ManifestState

    def process(self, output: list[str]) -> ManifestState:
        """Read an entry a record."""
        return _manifest(tuple(output))


@cache
def _manifest(output: tuple[str, ...]) -> ManifestState:
    # Every operation that places something asks, and mostly the answer is the same.
    return _entries(records(output, {"entry": 2}))


def _entries(told: Iterable[tuple[str, ...]]) -> ManifestState:
    entries, unreadable = [], []
    for _, name, line in told:
        path, entry = f"{MANIFEST}/{name}", Entry.from_json(line)
        if entry and entry_path(entry.kind, entry.id) == path:
            entries.append(entry)
        else:
            unreadable.append(path)
    return ManifestState(tuple(entries), tuple(unreadable))


@dataclass(frozen=True)
class ManifestPathsState:
    """The manifest, and what lies at the paths of its entries and right above; where nothing does, it is left out."""

    manifest: ManifestState = ManifestState()
    there: Mapping[str, PlacedState] = field(default_factory=dict)


class ManifestPaths(HostFact[ManifestPathsState]):
    """A converged host in one look: what lies at every path that the manifest names."""

    def command(self) -> Script:
        """Return the command."""
        return asked(manifest_paths())

    default = ManifestPathsState

    def process(self, output: list[str]) -> ManifestPathsState:
        """Read the entries as `Manifest` does, and what is found as `PlacedEach` does."""
        told = list(records(output, SHAPES))
        return ManifestPathsState(_entries(each for each in told if each[0] == "entry"), states(told))


def known(paths: ManifestPathsState, kind: str, path: str) -> PlacedState | None:
    """Return what `Placed` would tell; None: it must be asked, it was not looked at in this way."""
    entry = paths.manifest.entry(kind, path)
    if entry is None:
        above = paths.there.get(path)  # a directory in which something of ours lies
        return (
            replace(above, entry=None)
            if above and above.type == "directory" and kind in ("directory", "mode")
            else None
        )
    if not paths.there or not (kind == "directory" or (entry.hash and kind in _LOOKED_AT)):
        return None
    if set(entry.hash + path) & set('"\\') or not (entry.hash + path).isascii():
        return None  # as JSON has it, it is no path
    # One with a link of ours has no hash of what it leads to; a file has.
    state = paths.there.get(path, PlacedState())
    return replace(state, entry=entry)
