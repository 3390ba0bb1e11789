"""What litellm.service starts: see supervisor.py beside this."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

# Our package is found by its place, whatever else is on this machine.
sys.modules["signalbox"] = ModuleType("signalbox")
sys.modules["signalbox"].__path__ = [str(Path(__file__).resolve().parent.parent)]

sys.exit(import_module("signalbox.supervisor.supervisor").main(*sys.argv[1:]))
