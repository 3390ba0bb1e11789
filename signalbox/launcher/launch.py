#!/usr/bin/python3 -IS
"""Behind every command of this package: the name that it is called by tells which; `launch.py NAME …` works too."""

import sys
from pathlib import Path

# -IS: nothing of the caller's Python settings or packages gets in; so the package must be found by its place.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if sys.argv[1:2] == ["attended"]:
    # It stays for as long as Claude Code does, so it loads little.
    from launcher.attended import main  # type: ignore[import-not-found]

    main(sys.argv[2:])
else:
    from launcher.commands import main  # type: ignore[import-not-found]

    main()
