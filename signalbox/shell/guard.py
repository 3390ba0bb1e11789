"""Commit-confirmed: the host arms its own way back before a change that may lock its owner out.

templates/guard/guard is the host's half: it keeps the files as they are, starts a timer, and takes the change back
when the timer ends or when the host boots, unless it was confirmed. Here is what the controller says to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from signalbox.shell import Script, manifest, sh

STATE = f"{manifest.STATE}/guard"
GUARD = "/usr/local/lib/signalbox/guard"
# By way of the unit, which the timer starts too: there is one restorer at a time.
RESTORE = sh("systemctl start signalbox-guard.service")
CONFIRM = sh("{} confirm", GUARD)
NOTHING = sh("true")


def arm(change: str, paths: Sequence[str], kept: Sequence[str] = (), keep: Script = NOTHING) -> Script:
    """Return the command that arms the way back; it reads from stdin the sh that undoes what files alone do not.

    Args:
        change: what is changed, in a word.
        paths: the files as the manifest knows them; their manifest entries go back with them.
        kept: more files of root's that go back. None of a person's: the way back is gone with root's rights.
        keep: sh that saves what `undo` will need into the current directory.
    """
    both = [each for path in paths for each in (path, manifest.entry_path("file", path))]
    return sh("KEEP={} {} arm {}", str(keep), GUARD, [change, *both, *kept])
