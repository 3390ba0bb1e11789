"""A fleet that lives in a clone of Signalbox becomes a project of its own: what goes where, with the same meaning."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signalbox.engine import deployed
from signalbox.engine.history import state_directory
from signalbox.fields.paths import kept_beside
from signalbox.git import git
from signalbox.init import pins_file
from signalbox.init.files import ALL, INVENTORY, rendered
from signalbox.init.origin import Origin, of_clone
from signalbox.init.scaffold import missing
from signalbox.pins import history
from signalbox.pins.literals import replace
from signalbox.settings.layers import COMMAND_LINE, HOST, data_of, layers_of, merged
from signalbox.settings.problems import dotted
from signalbox.settings.record_defaults import RECORDS
from signalbox.settings.run import read_inventory

_ALL_HEAD = '"""What differs for all hosts; literal data only. It was in the clone\'s group_data/all.py."""'
_SHIPPED_TASK = re.compile(r"^\s*(?:from|import)\s+tasks\b", re.MULTILINE)
_FLEET = (str(INVENTORY), str(ALL))  # of the tracked files, those that a fleet in a clone has changed
# What has another name in a project of its own.
_NAMES = {str(history.path(ALL)): str(history.path(pins_file.PATH))}


class MoveError(Exception):
    """A fleet that cannot be moved; nothing was changed."""


@dataclass
class Move:
    """What a move will do. made: files of the project, by their text. copied: files that go there as they are, relative
    to the clone. restored: files of the clone that become as they were shipped. stays: changes that nothing moves.
    """

    clone: Path
    target: Path
    origin: Origin
    made: dict[str, str] = field(default_factory=dict)
    copied: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield what it will do, for people."""
        yield f"{self.clone} -> {self.target}"
        yield from (f"  written   {name}" for name in self.made)
        yield from (f"  moved     {name}" for name in self.copied if name in self.untracked)
        yield from (f"  copied    {name} (it is committed in the clone, where it stays)"
                    for name in self.copied if name not in (*self.untracked, *self.restored))  # fmt: skip
        yield from (f"  restored  {name} in the clone; what it was is in {name}.bak" for name in self.restored)
        yield from (f"  stays     {name}: a change of yours to Signalbox itself" for name in self.stays)
        yield f"  Signalbox is {self.origin.words}"
        yield from (f"  {line}" for line in self.told)


def planned(clone: Path, target: Path) -> Move:
    """Return what moves a fleet from a clone into a new directory.

    Raises:
        MoveError: there is nothing to move, or it cannot be told from what is shipped.
        OriginError: the clone has no commit.
    """
    if target.exists() and any(target.iterdir()):
        raise MoveError(f"{target} is not empty; name a new directory")
    base = _base(clone)
    ours, head = _blobs(clone, base), _blobs(clone, "HEAD")
    now = {name: _blob(clone / name) for name in _names(clone, "ls-files", "-z")}
    changed = [name for name, blob in now.items() if blob != ours.get(name)]
    untracked = _names(clone, "ls-files", "--others", "--exclude-standard", "-z")
    theirs = [name for name in changed if name in _FLEET or name not in ours]
    if not (theirs or untracked):
        raise MoveError(f"{clone} has no fleet: it is as it was shipped. `signalbox init` makes a project")
    stays = [name for name in changed if name not in theirs]
    move = Move(clone, target, of_clone(clone, None if stays else base), stays=stays, untracked=untracked)
    move.copied = [
        name for name in dict.fromkeys((*theirs, *untracked)) if name != str(ALL) and (clone / name).exists()
    ]
    move.restored = [name for name in theirs if now[name] != head.get(name)]
    shipped, mine = _data(_shipped(clone, base, str(ALL)) or b""), data_of(clone / ALL)
    differs, pins = differing(shipped, mine), mine.get("pins")
    if pins:
        differs.pop("pins", None)
        move.made[str(pins_file.PATH)] = pins_file.changed(target / pins_file.PATH, pins, {}).new
    if differs:
        move.made[str(ALL)] = rendered(_ALL_HEAD, differs)
    move.told += [
        f"{name} imports `tasks`: in a project they are `signalbox.tasks`"
        for name in move.copied
        if name.endswith(".py") and _SHIPPED_TASK.search((clone / name).read_text(encoding="utf-8", errors="replace"))
    ]
    move.told += [move.origin.told] if move.origin.told else []
    return move


def carried_out(move: Move) -> int:
    """Make the project, prove that each host is set to the same, then take what moved from the clone; return how many
    hosts there are.

    Raises:
        MoveError: a host would be set otherwise; nothing was changed.
    """
    parent = move.target.parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{move.target.name}.", dir=parent) as directory:
        new = Path(directory, "new")
        new.mkdir()
        for name in move.copied:
            place = new / _NAMES.get(name, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(move.clone / name, place, follow_symlinks=False)
        for name, text in move.made.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text, encoding="utf-8")
        base = missing(new, move.origin)
        for change in base.changes:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            change.path.write_text(change.new, encoding="utf-8")
        hosts = _proven_the_same(move, new)
        with suppress(OSError):
            move.target.rmdir()  # an empty one is replaced
        new.rename(move.target)
    for name in move.restored:
        path = move.clone / name
        shutil.copy2(path, kept_beside(path))
        kept = _shipped(move.clone, "HEAD", name)
        path.unlink() if kept is None else replace(path, kept.decode())
    for name in move.untracked:
        (move.clone / name).unlink(missing_ok=True)
        with suppress(OSError):
            (move.clone / name).parent.rmdir()
    _remembered(move.clone / INVENTORY, move.target / INVENTORY)
    return hosts


def differing(shipped: Mapping[str, Any], mine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has to stand over the shipped settings so that they mean the same as `mine`.

    A record that a person has taken out is switched off.
    """
    found = {}
    for name, value in mine.items():
        if name not in shipped:
            found[name] = value
        elif value != shipped[name]:
            below = shipped[name]
            both = isinstance(value, Mapping) and isinstance(below, Mapping)
            found[name] = differing(below, value) if both else value
    for section in RECORDS:
        if isinstance(mine.get(section), Mapping):
            for gone in set(shipped.get(section, {})) - set(mine[section]):
                found.setdefault(section, {})[gone] = {"enabled": False}
    return found


def _proven_the_same(move: Move, new: Path) -> int:
    shipped = _data(_shipped(move.clone, _base(move.clone), str(ALL)) or b"")
    before = _settings(move.clone, [data_of(move.clone / ALL)])
    after = _settings(new, [shipped, data_of(new / pins_file.PATH), data_of(new / ALL)])
    if set(before) != set(after):
        raise MoveError(f"other hosts would be there: {', '.join(sorted(set(before) ^ set(after)))}")
    for host, settings in before.items():
        other = [dotted(path) for path in _leaves(settings, after[host]) if not _switched_off(path, after[host])]
        if other:
            raise MoveError(f"{host}: {', '.join(other[:5])} would be another there; nothing was changed")
    return len(before)


def _settings(directory: Path, below: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if not (directory / INVENTORY).exists():
        return found
    with chdir(directory):  # pyinfra reads the group data of where it is, too
        inventory = read_inventory(INVENTORY)
    for host in inventory.hosts:
        own = [each for each in layers_of(inventory, host) if each[0].startswith(("group ", HOST, COMMAND_LINE))]
        found[host] = merged([*(("", each) for each in below), *own])
    return found


def _leaves(one: Any, other: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths at which two values differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in {**one, **other}:
            yield from _leaves(one.get(key), other.get(key), (*at, str(key)))
    elif one != other:
        yield at


def _switched_off(path: tuple[str, ...], settings: Mapping[str, Any]) -> bool:
    """Tell whether a path is of a record that is off, which is as good as not there."""
    record = (settings.get(path[0]) or {}).get(path[1]) if path[0] in RECORDS and len(path) > 1 else None
    return isinstance(record, Mapping) and record.get("enabled") is False


def _base(clone: Path) -> str:
    """Return the last commit that is not a person's own: where their branch has left what they cloned."""
    for name in _names(clone, "for-each-ref", "--format=%(refname)%00", "refs/remotes/origin"):
        if found := _said(clone, "merge-base", "HEAD", name.strip()).decode().strip():
            return found
    return "HEAD"


def _blobs(clone: Path, commit: str) -> dict[str, str]:
    """Return the files of a commit, with the ids of their contents."""
    found = {}
    for line in _names(clone, "ls-tree", "-r", "-z", "--full-tree", commit):
        what, _, name = line.partition("\t")
        found[name] = what.split()[-1]
    return found


def _blob(path: Path) -> str:
    """Return the id that git gives a file's content; "" for what is no file."""
    if not path.is_file() or path.is_symlink():
        return ""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _names(clone: Path, *words: str) -> list[str]:
    return [name for name in _said(clone, *words).decode(errors="surrogateescape").split("\0") if name.strip()]


def _shipped(clone: Path, commit: str, name: str) -> bytes | None:
    done = git("cat-file", "blob", f"{commit}:{name}", directory=clone)
    return None if done.returncode else done.stdout


def _said(clone: Path, *words: str) -> bytes:
    done = git(*words, directory=clone)
    return b"" if done.returncode else done.stdout


def _data(text: bytes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="signalbox-shipped-") as directory:
        path = Path(directory, "all.py")
        path.write_bytes(text)
        return data_of(path)


def _remembered(old: Path, new: Path) -> None:
    """Have what was last deployed from here go on under the new inventory's name."""
    for kind in ("deployed", "good"):
        place = state_directory() / kind
        with suppress(OSError):
            shutil.copytree(place / deployed.key(str(old)), place / deployed.key(str(new)))
