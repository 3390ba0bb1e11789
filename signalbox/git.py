"""What git knows of a directory that may be a stranger's, told by plumbing that runs nothing of that repository's."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SECONDS = 30
# Each of these names a program, or has git look for one, in the repository's own configuration: it is not asked there.
_OVERRIDES = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.sshCommand=false",
    "safe.bareRepository=explicit",  # a folder of the work tree that looks like a repository is none
)
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",  # objects that are not there are not fetched, by whatever program is named for that …
    "GIT_ALLOW_PROTOCOL": "none",  # … and older gits, which do not know that variable, have no way to fetch them
    "GIT_TERMINAL_PROMPT": "0",
}
# An entry of the index as `ls-files --stage --debug -z` tells it: mode, id, path, ctime, mtime, size, flags.
_ENTRY = re.compile(
    rb"(\d{6}) ([0-9a-f]+) \d\t([^\0]+)\0"
    rb"  ctime: (\d+):\d+\n  mtime: (\d+):\d+\n  dev: .*\n  uid: .*\n  size: (\d+)\tflags: ([0-9a-f]+)\n"
)
_UNLOOKED = 0x40000000 | 0x8000  # flags of an entry: left out of a sparse work tree, assumed to be unchanged
_SUBMODULE = b"160000"


def git(*words: str, directory: Path | None = None, anyones: bool = False) -> subprocess.CompletedProcess[bytes]:
    """Run git in a directory and return how it ended; hooks, monitors, filters and helpers of the repository stay out.

    Only for plumbing that neither writes nor looks into the work tree: filters, which it would run, cannot be switched
    off.

    Args:
        directory: None: the current one. anyones: its owner may be somebody else.

    Raises:
        OSError: there is no git. TimeoutExpired: it did not end.
    """
    options = [word for each in _OVERRIDES + ("safe.directory=*",) * anyones for word in ("-c", each)]
    # The repository that the directory is in, whatever the environment points at.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-pager", "--no-replace-objects", "--literal-pathspecs", *options, *words]
    return subprocess.run(
        command, cwd=directory, env=kept | _ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        timeout=_SECONDS,
    )  # fmt: skip


def state() -> tuple[str, str]:
    """Return the short id of the commit that is checked out here, and a hash of how tracked files differ from it.

    The id is "" outside of git and in a repository of others, the hash "" where nothing differs.
    """
    said = _said("rev-parse", "--show-toplevel", "--git-path", "index", "--short=12", "HEAD")
    lines = os.fsdecode(said.removesuffix(b"\n")).split("\n")
    if len(lines) != 3:  # a path of several lines could be read as anything
        return "", ""
    top, index, head = lines  # the index: relative to here
    found = sorted(_changed(top, index))
    digest = hashlib.sha256(b"".join(name + b"\0" + what + b"\0" for name, what in found))
    return head, digest.hexdigest() if found else ""


def _changed(top: str, index: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield each file of the commit or the index that is another than the commit's, with its mode and id as it is."""
    written = int(os.stat(index).st_mtime) if os.path.exists(index) else 0
    committed = {}
    for told in _said("ls-tree", "-r", "-z", "--full-tree", "HEAD", top=top).split(b"\0"):
        what, _, name = told.partition(b"\t")
        mode, _, ident = what.rpartition(b" ")
        if name and not mode.startswith(_SUBMODULE):
            committed[name] = mode[:6] + b" " + ident
    now = dict.fromkeys(committed, b"")
    entries = _ENTRY.findall(_said("ls-files", "--stage", "--debug", "-z", top=top))
    for mode, ident, name, *looks, flags in entries:
        if mode != _SUBMODULE:
            path = os.path.join(top, os.fsdecode(name))
            # As git has it: what looks as the index knows it was not changed, unless just now.
            same = _looks(path) == (mode, *map(int, looks)) and int(looks[1]) < written
            unchanged = same or int(flags, 16) & _UNLOOKED
            now[name] = mode + b" " + ident if unchanged else _as_it_is(path, len(ident))
    yield from ((name, what) for name, what in now.items() if what != committed.get(name))


def _looks(path: str) -> tuple[bytes, int, int, int] | None:
    """Return mode, ctime, mtime and size as the index has them."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return _mode(status), int(status.st_ctime), int(status.st_mtime), status.st_size & 0xFFFFFFFF


def _mode(status: os.stat_result) -> bytes:
    if stat.S_ISLNK(status.st_mode):
        return b"120000"
    return b"100755" if status.st_mode & 0o100 else b"100644"


def _as_it_is(path: str, digits: int) -> bytes:
    """Return the mode and the id that git would give a file without a filter; b"" where there is none."""
    try:
        if os.path.islink(path):
            return b"120000 " + _blob(os.readlink(os.fsencode(path)), digits)
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return b"no file"
            return _mode(status) + b" " + _blob(file.read(), digits)
    except OSError:
        return b""


def _blob(content: bytes, digits: int) -> bytes:
    digest = hashlib.sha256() if digits == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest().encode()


def _said(*words: str, top: str | None = None) -> bytes:
    try:
        done = git(*words, directory=Path(top) if top else None)
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return b"" if done.returncode else done.stdout
