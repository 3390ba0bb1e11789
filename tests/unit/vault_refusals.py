"""What `signalbox secrets` refuses though the files themselves are sound: wrong keys, other writers, full disks."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from click.testing import CliRunner, Result

from signalbox.commands.secrets import secrets
from signalbox.vault import storage

VALUE = "sk-ant-marked-5d1f"
NAME = "ANTHROPIC_DIRECT_KEY"
ALL = Path("secrets/all.yml")
KEY = Path("key/vault.key")
PASSPHRASE = "correct horse battery"  # noqa: S105 (of the tests alone)
_NOBODY = 65534

Broken = Callable[[], AbstractContextManager[object]]


def run(*words: str, stdin: str | bytes = "", key: str = f"file:{KEY}") -> Result:
    """Run `signalbox secrets` with these words, in the current directory."""
    return CliRunner().invoke(secrets, ["--key", key, *words], input=stdin)


def everything() -> dict[str, bytes]:
    """Return all files below the current directory, git's own and backups aside."""
    files = (path for path in Path().rglob("*") if path.is_file() and path.suffix != ".bak")
    return {str(path): path.read_bytes() for path in files if ".git/" not in str(path)}


def make(key: str = f"file:{KEY}") -> None:
    """Make a vault of two files, for all hosts and for box1."""
    for words in (["init"], ["set", NAME], ["init", "--for", "box1"], ["set", NAME, "--for", "box1"]):
        result = run(*words, stdin=VALUE, key=key)
        assert result.exit_code == 0, result.output


@dataclass(frozen=True)
class Refusal:
    """Something that is wrong, and what the command says then; with `broken` mended it does what it is asked.

    words: of the command. key: where it is told to find the vault's key. made_with: where the key was when it was made.
    """

    broken: Broken
    words: tuple[str, ...]
    says: str
    key: str = f"file:{KEY}"
    made_with: str = f"file:{KEY}"

    @property
    def mendable(self) -> bool:
        """Whether the same command works once the thing is mended: box2 has no file of its own then."""
        return "box2" not in self.words


@contextmanager
def _key_file(content: bytes | None = None, mode: int = 0o600, owner: int | None = None) -> Iterator[None]:
    """The key file with another content, mode or owner."""
    was = KEY.read_bytes()
    KEY.write_bytes(was if content is None else content)
    KEY.chmod(mode)
    if owner is not None:
        os.chown(KEY, owner, owner)
    try:
        yield
    finally:
        KEY.write_bytes(was)
        KEY.chmod(0o600)
        os.chown(KEY, os.geteuid(), os.getegid())


@contextmanager
def _unreadable() -> Iterator[None]:
    """The key file without the right to read it; root would have it all the same, so the command runs as nobody."""
    root = os.geteuid() == 0
    with _key_file(mode=0o000):
        for path in (Path(), *Path().rglob("*")) if root else ():
            path.chmod(0o000 if path == KEY else 0o755 if path.is_dir() else 0o644)
        if root:
            os.seteuid(_NOBODY)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)


@contextmanager
def _moved(path: Path, to: Path) -> Iterator[None]:
    path.rename(to)
    try:
        yield
    finally:
        to.rename(path)


@contextmanager
def _a_directory() -> Iterator[None]:
    with _moved(KEY, Path("kept")):
        KEY.mkdir()
        try:
            yield
        finally:
            KEY.rmdir()


@contextmanager
def _tracked() -> Iterator[None]:
    git("init", "-q")
    git("add", str(KEY))
    try:
        yield
    finally:
        git("rm", "-q", "--cached", str(KEY))


@contextmanager
def _another_writer() -> Iterator[None]:
    with mock.patch.object(storage, "_WAIT_SECONDS", 0.1), storage.writing(Path("secrets")):
        yield


def _failing(where: object, name: str, at: int, error: int) -> Broken:
    """The call number `at` of this function fails with `error`."""

    @contextmanager
    def failing() -> Iterator[None]:
        original, calls = getattr(where, name), iter(range(1, 1000))

        def fail(*arguments: object) -> object:
            if next(calls) == at:
                raise OSError(error, os.strerror(error))
            return original(*arguments)

        with mock.patch.object(where, name, fail):
            yield
        assert next(calls) > at, f"{name} was not called {at} times"

    return failing


def _killed(at: int) -> Broken:
    """A rotation whose process is killed when it puts the file number `at` in its place, and all is as it left it."""

    @contextmanager
    def killed() -> Iterator[None]:
        was = everything()
        kill_rotation(at)
        try:
            yield
        finally:
            for path in everything():
                Path(path).unlink()
            for name, content in was.items():
                Path(name).write_bytes(content)
            KEY.chmod(0o600)

    return killed


def kill_rotation(at: int) -> None:
    """Rotate in a process of its own, which is killed before the call number `at` of Path.replace."""
    child = os.fork()
    if child == 0:
        original, calls = Path.replace, iter(range(1, 1000))

        def replace(path: Path, target: Path) -> Path:
            if next(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(path, target)

        Path.replace = replace  # type: ignore[assignment, method-assign]
        run("rotate-key")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the rotation replaced less than {at} files"


@contextmanager
def _of_another_owner() -> Iterator[None]:
    """The key file in a repository of somebody else's, which git looks at only when told to."""
    git("init", "-q", "key")
    git("-C", "key", "add", KEY.name)
    for path in (KEY.parent, *KEY.parent.rglob("*")):
        if path != KEY:
            os.chown(path, 12345, 12345)
    try:
        yield
    finally:
        shutil.rmtree(KEY.parent / ".git")
        os.chown(KEY.parent, 0, 0)


@contextmanager
def _git_elsewhere() -> Iterator[None]:
    """The environment points git at another repository."""
    git("init", "-q", "other")
    with mock.patch.dict(
        os.environ, {"GIT_DIR": str(Path("other/.git").resolve()), "GIT_WORK_TREE": str(Path("other"))}
    ):
        yield
    shutil.rmtree("other")


@contextmanager
def _all(*broken: Broken) -> Iterator[None]:
    with ExitStack() as stack:
        for each in broken:
            stack.enter_context(each())
        yield


@contextmanager
def _broken_repository() -> Iterator[None]:
    git("init", "-q", "key")
    Path("key/.git/config").write_text("[core\n")
    try:
        yield
    finally:
        shutil.rmtree("key/.git")


def git(*words: str) -> None:
    """Run git, whatever the environment says of repositories."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *words], check=True, env=environment)


_SET, _GET, _ROTATE = ("set", "NEW_KEY"), ("get", NAME), ("rotate-key",)
_TWO = KEY.name.encode() * 20
_FULL = "the disk is full: free some space and run this again; nothing was changed"
_KEY_BACKUP = "the key's backup"
_NOT_WRITTEN = "cannot be written (Input/output error); nothing was changed"
_PLACES = (_KEY_BACKUP, "a backup", "a second backup", "a new file", "a second new file")
_NOT_SURE = "the disk does not confirm what was written (Input/output error); nothing was changed"
_FINISHED = "a rotation was interrupted: `signalbox secrets rotate-key` finishes it"

REFUSALS: dict[str, Refusal] = {
    "a wrong passphrase": Refusal(
        lambda: mock.patch.dict(os.environ, {"PASSPHRASE": f"{PASSPHRASE}s"}), _GET, "this is not its key",
        "env:PASSPHRASE", "env:PASSPHRASE",
    ),
    "the key of another vault": Refusal(
        lambda: _key_file(b"signalbox-key-" + b"A" * 43), _SET, "secrets/all.yml: this is not its key"
    ),
    "no key file": Refusal(lambda: _moved(KEY, Path("kept")), _SET, "the key file does not exist"),
    "a key file that cannot be read": Refusal(_unreadable, _GET, "the key file cannot be read (Permission denied)"),
    "a directory in place of the key file": Refusal(_a_directory, _SET, "cannot be read (Is a directory)"),
    "a key file that others can read": Refusal(
        lambda: _key_file(mode=0o640), _SET, f"others can read the key file; run: chmod 600 {KEY}"
    ),
    "a key file of another user": Refusal(lambda: _key_file(owner=12345), _SET, "belongs to another user"),
    "a key file that git tracks": Refusal(_tracked, _SET, "git tracks the key file"),
    "a key file that git tracks in somebody else's repository": Refusal(
        _of_another_owner, _SET, "git tracks the key file"
    ),
    "a key file that git tracks while its environment points elsewhere": Refusal(
        lambda: _all(_tracked, _git_elsewhere), _SET, "git tracks the key file"
    ),
    "a key file in a repository that git does not read": Refusal(
        _broken_repository, _SET, "git does not tell whether it tracks the key file (fatal: bad config"
    ),
    "an empty key file": Refusal(lambda: _key_file(b"\n"), _SET, f"the key file {KEY} is empty"),
    "a key file of two lines": Refusal(lambda: _key_file(_TWO + b"\n" + _TWO), _SET, "more than one line"),
    "a file renamed to another host's": Refusal(
        lambda: _moved(Path("secrets/box1.yml"), Path("secrets/box2.yml")), ("get", NAME, "--for", "box2"),
        "was made as secrets/box1.yml, for box1: it was renamed or copied",
    ),
    "two writers at once: set": Refusal(_another_writer, _SET, "another `signalbox secrets` is writing here"),
    "two writers at once: rotation": Refusal(_another_writer, _ROTATE, "another `signalbox secrets` is writing here"),
    "disk full while a secret is set": Refusal(_failing(os, "fsync", 1, errno.ENOSPC), _SET, _FULL),
    "disk full during rotation: the new key": Refusal(
        _failing(os, "fsync", 1, errno.ENOSPC), _ROTATE, "the key file cannot be written (No space left on device)"
    ),
    **{
        f"disk full during rotation: {what}": Refusal(_failing(os, "fsync", at, errno.ENOSPC), _ROTATE, _FULL)
        for at, what in enumerate((_KEY_BACKUP, "a backup", "a new file", "a second backup", "a second new file"), 3)
    },
    **{
        f"disk error during rotation: {what} takes its place": Refusal(
            _failing(Path, "replace", at, errno.EIO), _ROTATE, _NOT_WRITTEN
        )
        for at, what in enumerate(_PLACES, 1)
    },
    **{
        f"disk error during rotation: {what} is in place, and may not stay": Refusal(
            _failing(os, "fsync", at, errno.EIO), _ROTATE, _NOT_SURE
        )
        for at, what in enumerate(_PLACES, 8)
    },
    "disk error during rotation: the new key takes its place": Refusal(
        _failing(Path, "replace", 6, errno.EIO), _ROTATE,
        "the new key cannot take its place (Input/output error); nothing was changed",
    ),
    "a rotation that was killed between two files": Refusal(_killed(5), _GET, _FINISHED),
    "a rotation that was killed before the key's turn": Refusal(_killed(6), (*_GET, "--for", "box1"), _FINISHED),
}  # fmt: skip


def refused(refusal: Refusal) -> str:
    """Run the command with the thing broken, and again when it is mended; return what it said.

    AssertionError unless it failed, changed no file, told no value, and works when it is mended.
    """
    with mock.patch.dict(os.environ, {"PASSPHRASE": PASSPHRASE}):
        make(refusal.made_with)
        before = everything()
        with refusal.broken():
            result = run(*refusal.words, stdin="x", key=refusal.key)
        assert everything() == before, "a file was changed"
        assert result.exit_code == 1, f"ended with {result.exit_code}: {result.output}"
        assert isinstance(result.exception, SystemExit), repr(result.exception)
        said = " ".join(result.stderr.split())
        assert refusal.says in said, said
        assert VALUE not in result.output
        mended = run(*refusal.words, stdin="x", key=refusal.key) if refusal.mendable else run(*_GET, key=refusal.key)
        assert mended.exit_code == 0, mended.output
        assert run(*_GET, key=refusal.key).stdout == f"{VALUE}\n"
    return said.removeprefix("Error: ")
