"""The person's own SSH keys: those that are there, their public halves, and a new one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signalbox.init.question import WrongAnswerError

NEW = "new"
# What paramiko raises for a key with a passphrase; cryptography's TypeError comes through its PKey.from_path.
_LOCKED = (paramiko.PasswordRequiredException, TypeError)
_USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")


def usual() -> str:
    """Return the key that ssh itself would take, as a path with ~; "new" where there is none."""
    for name in _USUAL:
        if Path(f"~/.ssh/{name}").expanduser().is_file():
            return f"~/.ssh/{name}"
    return NEW


def checked(given: str) -> Path:
    """Return the private key's file of an answer, after a look at both halves.

    Raises:
        WrongAnswerError: it is no key that a deploy could use.
    """
    path = Path(given).expanduser()
    if path.suffix == ".pub":
        raise WrongAnswerError(f"{given} is the public half; write the private one, {given.removesuffix('.pub')}")
    if path.is_dir():
        raise WrongAnswerError(f"{given} is a directory; write the key's file, such as {given.rstrip('/')}/id_ed25519")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WrongAnswerError(f"{given} does not exist; write another path, or new, which makes a key") from None
    except (OSError, UnicodeDecodeError):
        raise WrongAnswerError(f"{given} cannot be read as a key; write another path, or new") from None
    if text.startswith("PuTTY-User-Key-File"):
        raise WrongAnswerError(
            f"{given} is a key of PuTTY; export it in PuTTYgen (Conversions, Export OpenSSH key), or write new"
        )
    if "PRIVATE KEY" not in text.partition("\n")[0]:
        raise WrongAnswerError(f"{given} is no private key; write one such as ~/.ssh/id_ed25519, or new")
    public = public_half(path)
    if _is_locked(path) and public.split()[1] not in _in_agent():
        raise WrongAnswerError(f"{given} has a passphrase; load it into ssh-agent (ssh-add {given}), then answer again")
    return path


def public_half(path: Path) -> str:
    """Return a key's public line.

    Raises:
        WrongAnswerError: it cannot be had.
    """
    beside = path.with_name(f"{path.name}.pub")
    if beside.is_file():
        words = beside.read_text(encoding="utf-8", errors="replace").split()
        if len(words) > 1:
            return " ".join(words)
    try:
        key = paramiko.PKey.from_path(path)
    except _LOCKED:
        raise WrongAnswerError(
            f"{path} has a passphrase and no {beside.name} beside it; write another, or new"
        ) from None
    except Exception:  # paramiko and cryptography have a dozen for a damaged file
        raise WrongAnswerError(
            f"{path} is damaged, or a kind of key that is not known; write another, or new"
        ) from None
    return f"{key.get_name()} {key.get_base64()}"


def make() -> Path:
    """Make ~/.ssh/id_ed25519 and its public half, and return it.

    Raises:
        WrongAnswerError: there is one already, or it cannot be written.
    """
    path = Path("~/.ssh/id_ed25519").expanduser()
    if path.exists():
        raise WrongAnswerError(f"{path} is there already and stays; write its path")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    comment = f" {os.environ.get('USER') or 'signalbox'}@{socket.gethostname()}\n".encode()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content, mode in ((path, private, 0o600), (path.with_suffix(".pub"), public + comment, 0o644)):
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
                handle.write(content)
    except OSError as error:
        raise WrongAnswerError(f"{error.filename}: cannot be written ({error.strerror})") from None
    return path


def _is_locked(path: Path) -> bool:
    try:
        paramiko.PKey.from_path(path)
    except _LOCKED:
        return True
    except Exception:  # a kind that paramiko cannot read: the login will tell
        return False
    return False


def _in_agent() -> set[str]:
    try:
        return {key.get_base64() for key in paramiko.Agent().get_keys()}
    except (paramiko.SSHException, OSError):
        return set()
