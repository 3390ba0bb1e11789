"""A secret's file on a host: how its owner reads it."""

from __future__ import annotations

from signalbox.shell.script import Script, sh

MAX_BYTES = 64 * 1024


def reader(path: str) -> Script:
    """Return the shell command that prints the secret in a file, for its owner; a `.cred` file is decrypted."""
    if not path.endswith(".cred"):
        return sh("cat {}", path)
    return sh("systemd-creds --user decrypt --name={} {} -", credential_name(path), path)


def careful_reader(path: str) -> Script:
    """Return what `reader` does for a file that may be anything: a pipe is not waited for, a device not read."""
    read = sh(
        "dd if={} iflag=nofollow,nonblock,fullblock,count_bytes count={} bs=64k status=none 2>/dev/null",
        path,
        MAX_BYTES,
    )
    if not path.endswith(".cred"):
        return read
    return sh("{} | systemd-creds --user decrypt --name={} - -", read, credential_name(path))


def credential_name(path: str) -> str:
    """Return the name that an encrypted file is bound to: `…/KEY.cred` is KEY, and renamed it does not decrypt."""
    return path.rsplit("/", 1)[1].removesuffix(".cred")
