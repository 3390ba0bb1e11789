#!/usr/bin/python3 -I
"""claude-doctor: see command.py beside this."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

# -I: nothing of the caller's Python settings or packages gets in; so our packages are found by their place.
sys.modules["signalbox"] = ModuleType("signalbox")
sys.modules["signalbox"].__path__ = [str(Path(__file__).resolve().parent.parent)]

sys.exit(import_module("signalbox.doctor.command").main(sys.argv[1:]))
