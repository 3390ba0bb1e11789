"""The key of a lane."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from .speak import EX_CONFIG, fail

PATIENCE = 30  # seconds


def read_key(path: str | None) -> str | None:
    """Return the lane's key, None for a lane without one."""
    if path is None:
        return None
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        key = _decrypted(path) if path.endswith(".cred") else Path(path).read_text().strip()
    except OSError as error:
        fail(EX_CONFIG, f"the key in {path} cannot be read ({error.strerror}); run the deploy again")
    if mode & 0o077:
        fail(EX_CONFIG, f"others may read the key in {path}; chmod 600 {path}")
    if not key:
        fail(EX_CONFIG, f"{path} is empty; run the deploy again")
    return key


def _decrypted(path: str) -> str:
    """Return what was encrypted for this user on this host, under the file's own name."""
    command = ["/usr/bin/systemd-creds", "--user", "decrypt", f"--name={Path(path).stem}", path, "-"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        fail(
            EX_CONFIG, f"the key in {path} was not decrypted in {PATIENCE} s; see systemctl status systemd-creds.socket"
        )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        fail(EX_CONFIG, f"the key in {path} does not decrypt for this user on this host ({why}); run the deploy again")
    return done.stdout.strip()
