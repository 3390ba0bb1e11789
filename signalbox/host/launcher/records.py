"""What the deploy wrote for the commands: /etc/signalbox/lanes.json."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from ..shared import within
from ..shared.output import EX_CONFIG, EX_NOPERM, EX_USAGE, fail

RECORDS = Path(os.environ.get("SIGNALBOX_LANES", "/etc/signalbox/lanes.json"))

# What those of an earlier deploy lack, which programs of this one find for the moment between.
OLDER = {"silence_seconds": 120, "judged": {}}

Lane = dict[str, Any]


def read_records() -> dict[str, Any]:
    """Return what the deploy wrote: user, claude, flags, gateway, lanes."""
    try:
        records: dict[str, Any] = {**OLDER, **within.json_of(within.text_of(RECORDS))}
    except (OSError, ValueError, TypeError) as error:
        fail(EX_CONFIG, f"{RECORDS} cannot be read ({error}); run the deploy again")
    return records


def lane_named(records: dict[str, Any], name: str) -> Lane:
    """Return the lane `name`, or end naming those that there are."""
    lane: Lane | None = records["lanes"].get(name)
    if lane is None:
        known = " ".join(f"claude-{each}" for each in records["lanes"]) or "none"
        fail(EX_USAGE, f"no lane is called {name!r} here; commands on this host: {known}")
    return lane


def require_user(user: str) -> None:
    """Go on only as the user that the lanes are for."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    if me == user:
        return
    why = "as root an agent could do anything to this host" if me == "root" else f"you are {me}"
    fail(EX_NOPERM, f"this runs as {user} alone ({why}); log in as {user}: ssh {user}@{os.uname().nodename}")
