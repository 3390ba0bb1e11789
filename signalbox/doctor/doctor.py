#!/usr/bin/python3 -I
"""claude-doctor: see command.py beside this."""

import sys
from pathlib import Path

# -I: nothing of the caller's Python settings or packages gets in; so the package must be found by its place.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from doctor.command import main  # type: ignore[import-not-found]

sys.exit(main(sys.argv[1:]))
