"""The key of a lane."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .speak import EX_CONFIG, fail


def read_key(path: str | None) -> str | None:
    """Return the lane's key, None for a lane without one."""
    if path is None:
        return None
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        key = Path(path).read_text().strip()
    except OSError as error:
        fail(EX_CONFIG, f"the key in {path} cannot be read ({error.strerror}); run the deploy again")
    if mode & 0o077:
        fail(EX_CONFIG, f"others may read the key in {path}; chmod 600 {path}")
    if not key:
        fail(EX_CONFIG, f"{path} is empty; run the deploy again")
    return key
