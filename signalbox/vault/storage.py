"""Vault files on disk: read whole, written whole or not at all, by one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from signalbox.vault.document import Document
from signalbox.vault.errors import VaultError

_WAIT_SECONDS = 3.0  # for another writer, which needs a fraction of that unless it is `edit`
UNCHANGED = "nothing was changed"


def load(path: Path) -> Document:
    """Read a vault file.

    Raises:
        VaultError: it does not exist, cannot be read, or is damaged.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise VaultError(path, "does not exist; make it with `signalbox secrets init`") from None
    except UnicodeDecodeError:
        raise VaultError(path, "is no text: it was damaged; restore it, as with `git checkout -- FILE`") from None
    except OSError as error:
        raise VaultError(path, f"cannot be read ({error.strerror})") from None
    return Document.parse(text.replace("\r\n", "\n"), path)  # git on Windows may have changed the line ends


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Be the only one who writes vault files in a directory, which is made if need be.

    Raises:
        VaultError: another process is writing there and does not end, or it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise VaultError(directory, f"is no directory to write to ({error.strerror}); {UNCHANGED}") from None
    try:
        _lock(handle, directory)
        yield
    finally:
        os.close(handle)  # and with it the lock


def _lock(handle: int, directory: Path) -> None:
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise VaultError(
                    directory,
                    "another `signalbox secrets` is writing here (an open `edit`?); "
                    f"{UNCHANGED}, run this again when it is done",
                ) from None
            time.sleep(0.05)
        except OSError as error:
            raise VaultError(directory, f"cannot be locked ({error.strerror}); {UNCHANGED}") from None


class Replacement:
    """A file's new content, complete on disk beside it, and not yet in its place.

    Raises:
        VaultError: it cannot be written; nothing of it is left.
    """

    def __init__(self, path: Path, content: str | bytes) -> None:
        self.path = path
        self._target = path.resolve()  # a symbolic link stays one
        self._dropped = False
        self._temporary = _written(self._target, content if isinstance(content, bytes) else content.encode(), path)

    @property
    def placed(self) -> bool:
        """Whether it is in place; the disk tells, so an interrupt between two lines of ours changes nothing."""
        return not self._dropped and not self._temporary.exists()

    def put(self) -> None:
        """Put it in place in one step.

        Raises:
            VaultError: it cannot be done, or (`placed`) the disk does not say that it will stay.
        """
        try:
            self._temporary.replace(self._target)
        except OSError as error:
            self.drop()
            raise _failed(self.path, error) from None
        try:
            to_disk(self._target.parent)
        except OSError as error:
            raise VaultError(self.path, f"the disk does not confirm what was written ({error.strerror})") from None

    def drop(self) -> None:
        """Take it back, if it is not in place."""
        if self.placed:
            return
        self._dropped = True
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)


def save(path: Path, content: str) -> None:
    """Write a file whole, in one step.

    Raises:
        VaultError: it cannot be written; unless it says otherwise the file is as it was.
    """
    new = None
    try:
        new = Replacement(path, content)
        new.put()
    except VaultError as error:
        placed = new is not None and new.placed
        raise error.noting("it is in place; see that the disk is well" if placed else UNCHANGED) from None


def _written(target: Path, content: bytes, path: Path) -> Path:
    """A new file in the target's directory with this content, on disk, read by its owner alone or as the target is."""
    temporary = None
    try:
        for left in target.parent.glob(f".{escape(target.name)}.????????.tmp"):  # of one that was killed
            left.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            if target.exists():
                os.fchmod(file.fileno(), target.stat().st_mode & 0o777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if temporary.read_bytes() != content:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise _failed(path, error) from None
    return temporary


def to_disk(directory: Path) -> None:
    """Have the names in a directory on disk.

    Raises:
        OSError: the disk does not confirm it.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(path: Path, error: OSError) -> VaultError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return VaultError(path, "the disk is full: free some space and run this again")
    return VaultError(path, f"cannot be written ({error.strerror})")
