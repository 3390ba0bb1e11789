"""A project says which Signalbox it wants: where another one was called, that one goes on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from signalbox.console import Failure, note
from signalbox.init.origin import pinned_elsewhere

_HANDED = "SIGNALBOX_PINNED"  # in the environment of the one that goes on: it is not handed on again


def hand_over(words: Sequence[str]) -> None:
    """Have the version that the project in this directory pins go on with these words, where it is another.

    Raises:
        Failure: there is no uv, which would have it.
    """
    if os.environ.get(_HANDED) or not words or words[0].startswith("-"):
        return
    other = pinned_elsewhere(Path())
    if not other:
        return
    uv = shutil.which("uv")
    if uv is None:
        raise Failure(
            f"this project pins {other} of Signalbox, and this is another; uv, which would fetch it, is not installed: "
            "https://docs.astral.sh/uv/"
        )
    note(f"This project pins {other} of Signalbox: that one goes on")
    sys.stderr.flush()
    os.environ[_HANDED] = "1"
    os.execv(uv, [uv, "run", "--frozen", "--quiet", "signalbox", *words])  # noqa: S606 (words of the person's own)
