"""Where a vault's key comes from: `prompt`, `file:PATH`, `env:NAME` or `command:WORDS`."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

from signalbox.git import git
from signalbox.secrets.secret import SecretError
from signalbox.vault.crypto import PASSPHRASE_MINIMUM, generated_key, is_generated
from signalbox.vault.storage import to_disk

_COMMAND_SECONDS = 120  # a password manager may ask a person first
_MOST = 4096  # bytes of a key
PATTERN = re.compile(r"prompt|file:\S.*|env:[A-Za-z_]\w*|command:\S.*")


class KeySourceError(SecretError):
    """The key cannot be had from where it should be; says what to do."""


class NoneGivenError(KeySourceError):
    """A passphrase was asked for, and the person left."""


def read_key(source: str, what: str) -> bytes:
    """The key from a source.

    Args:
        source: as the setting `secrets.key`.
        what: the key opens, for the question: a path.

    Raises:
        KeySourceError: there is none, or it is not kept safely.
    """
    kind, _, rest = source.partition(":")
    if kind == "prompt":
        return _asked(f"Passphrase of {what}: ")
    if kind == "file":
        return _from_file(Path(rest).expanduser())
    if kind == "env":
        key = os.environ.get(rest, "").encode(errors="surrogateescape")
        return _usable(key, f"the environment variable {rest}", f"export {rest}, or set secrets.key otherwise")
    return _from_command(rest)


def new_key(source: str, what: str) -> bytes:
    """A key for a vault that is being made: a passphrase is asked for twice, a key file that is not there is made.

    Raises:
        KeySourceError: there is none, or a weak one.
    """
    kind, _, rest = source.partition(":")
    if kind == "file" and not Path(rest).expanduser().exists():
        return write_key_file(Path(rest).expanduser())
    key = read_key(source, f"{what} (new)" if kind == "prompt" else what)
    if not is_generated(key) and len(key.decode(errors="replace")) < PASSPHRASE_MINIMUM:
        raise KeySourceError(
            f"a passphrase needs at least {PASSPHRASE_MINIMUM} characters, as whoever has the file can guess; "
            "take some random words, or a key file: secrets.key = file:PATH"
        )
    if kind == "prompt" and _asked("The same again: ") != key:
        raise KeySourceError("the two passphrases differ; nothing was written")
    return key


def write_key_file(path: Path) -> bytes:
    """Generate a key into a new file that only its owner reads, and return it.

    Raises:
        KeySourceError: it cannot be written.
    """
    key = generated_key()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(key + b"\n")
                file.flush()
                os.fsync(file.fileno())
            to_disk(path.parent)  # before anything is encrypted with it
        except OSError:
            path.unlink()  # half a key would be in the way of the next one
            raise
    except OSError as error:
        raise KeySourceError(f"{path}: the key file cannot be written ({error.strerror})") from None
    return key


def replacing(key_file: Path) -> Path:
    """Where a key file's successor lies until every vault file is encrypted with it."""
    return key_file.with_name(f"{key_file.name}.new")


def _asked(question: str) -> bytes:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise KeySourceError(
            "there is no terminal to ask for the passphrase on; set secrets.key to file:PATH, env:NAME or "
            "command:WORDS, or run this in a terminal"
        ) from None
    try:
        return _usable(getpass.getpass(question).encode(), "the passphrase", "type one")
    except (EOFError, KeyboardInterrupt):
        raise NoneGivenError("no passphrase was given; nothing was done") from None


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeySourceError(f"{path}: the key file is no regular file; name one in secrets.key")
            if status.st_mode & 0o077:
                raise KeySourceError(f"{path}: others can read the key file; run: chmod 600 {shlex.quote(str(path))}")
            if status.st_uid not in (os.geteuid(), 0):
                raise KeySourceError(f"{path}: the key file belongs to another user, who can read and change it")
            key = file.read(_MOST + 1)
    except FileNotFoundError:
        raise KeySourceError(
            f"{path}: the key file does not exist; copy it from where the vault was made (`secrets init` makes one "
            "for a new vault)"
        ) from None
    except OSError as error:
        raise KeySourceError(f"{path}: the key file cannot be read ({error.strerror})") from None
    if is_tracked(path):
        raise KeySourceError(
            f"{path}: git tracks the key file, so whoever has the repository has the key; take it out of git "
            "(git rm --cached), and run `signalbox secrets rotate-key` for a new one"
        )
    return _usable(key, f"the key file {path}", "write the key into it")


def is_tracked(path: Path) -> bool:
    """Whether git tracks a file; without git nothing is tracked.

    Raises:
        KeySourceError: git cannot tell.
    """
    real = path.resolve()
    try:
        # Whosever repository it is in: it is only read, and nothing of it is run.
        done = git("ls-files", "--error-unmatch", "--", real.name, directory=real.parent, anyones=True)
    except FileNotFoundError:
        return False
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KeySourceError(f"{path}: git cannot be asked whether it tracks the key file ({error})") from None
    if done.returncode in (0, 1):  # 1: there is no such file in the index
        return done.returncode == 0
    told = done.stderr.decode(errors="replace").strip().splitlines()
    said = (told or [f"exit status {done.returncode}"])[0]
    if "not a git repository" in said:
        return False
    raise KeySourceError(
        f"{path}: git does not tell whether it tracks the key file ({said}); see to that, or keep the key elsewhere"
    )


def _from_command(line: str) -> bytes:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise KeySourceError(f"secrets.key: the command is not readable ({error}); quote its words") from None
    program = words[0] if words else ""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise KeySourceError(f"the command of the key, {program}, did not end in {_COMMAND_SECONDS} s") from None
    except OSError as error:
        raise KeySourceError(
            f"the command of the key, {program}, cannot be run ({error.strerror}); install it"
        ) from None
    if done.returncode:
        raise KeySourceError(
            f"the command of the key, {program}, failed with status {done.returncode}; "
            f"run it by hand to see why: {line}"
        )
    return _usable(done.stdout, f"the output of {program}", f"see that it prints the key and nothing else: {line}")


def _usable(key: bytes, what: str, then: str) -> bytes:
    key = key.removesuffix(b"\n").removesuffix(b"\r")
    if not key.strip():
        raise KeySourceError(f"{what} is empty; {then}")
    if len(key) > _MOST or b"\n" in key or b"\0" in key:
        raise KeySourceError(f"{what} is no key: more than one line, or longer than {_MOST} bytes; {then}")
    return key
