"""The key of a lane."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import Any

from ..shared import within
from ..shared.output import EX_CONFIG, fail

PATIENCE = 30  # seconds


class BadKeyError(Exception):
    """The key cannot be had; why, and what to do."""


def key_of(lane: dict[str, Any]) -> str | None:
    """Return the lane's key, None for a lane without one; end with the reason if it cannot be had."""
    try:
        return read_key(lane)
    except BadKeyError as error:
        fail(EX_CONFIG, str(error))


def read_key(lane: dict[str, Any]) -> str | None:
    """Return the lane's key, None for a lane without one. Raises BadKeyError."""
    path = lane["key_file"]
    if lane.get("key") or path is None:
        return lane.get("key")
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if not os.access(path, os.R_OK):  # else it would seem not to decrypt
            me = pwd.getpwuid(os.geteuid()).pw_name
            cure = "chmod 600 it, as its owner"
            raise BadKeyError(f"the key in {path} may not be read by {me} (mode {mode:03o}); {cure}")
        key = _decrypted(path) if path.endswith(".cred") else within.text_of(path, within.LINE).strip()
    except OSError as error:
        raise BadKeyError(f"the key in {path} cannot be read ({error.strerror}); run the deploy again") from error
    if mode & 0o077:
        raise BadKeyError(f"others may read the key in {path}; chmod 600 {path}")
    if not key:
        raise BadKeyError(f"{path} is empty; run the deploy again")
    return key


def _decrypted(path: str) -> str:
    """Return what was encrypted for this user on this host, under the file's own name."""
    command = ["/usr/bin/systemd-creds", "--user", "decrypt", f"--name={Path(path).stem}", path, "-"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        cure = "see systemctl status systemd-creds.socket"
        raise BadKeyError(f"the key in {path} was not decrypted in {PATIENCE} s; {cure}") from error
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise BadKeyError(
            f"the key in {path} does not decrypt for this user on this host ({why}); run the deploy again"
        )
    return done.stdout.strip()
