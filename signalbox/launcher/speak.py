"""How the commands speak: on stderr, because stdout is Claude Code's; exit statuses are those of sysexits(3)."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

EX_USAGE, EX_UNAVAILABLE, EX_NOPERM, EX_CONFIG = 64, 69, 77, 78

program = os.path.basename(sys.argv[0])  # what the messages begin with; `commands.main` sets it


def say(text: str) -> None:
    """Print a line on stderr."""
    print(f"{program}: {text}", file=sys.stderr)


def fail(status: int, text: str) -> NoReturn:
    """Say what is wrong and what to do, and end."""
    say(text)
    sys.exit(status)
