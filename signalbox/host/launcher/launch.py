#!/usr/bin/python3 -IS
"""Behind every command of this package: the name that it is called by tells which; `launch.py NAME …` works too."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

# -IS: nothing of the caller's Python settings or packages gets in; so our packages are found by their place.
sys.modules["signalbox"] = ModuleType("signalbox")
sys.modules["signalbox"].__path__ = [str(Path(__file__).resolve().parent.parent)]

if sys.argv[1:2] == ["attended"]:
    # It stays for as long as Claude Code does, so it loads little.
    import_module("signalbox.launcher.attended").main(sys.argv[2:])
else:
    import_module("signalbox.launcher.commands").main()
