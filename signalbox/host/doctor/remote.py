"""The same program from the controller: `signalbox verify` sends it over, runs it from memory and leaves nothing.

So verify does not depend on what lies on the host, and compares with the settings as they are on the controller.
"""

from __future__ import annotations

import base64
import bz2
import json
import sys
import time
from collections.abc import Mapping

from ..shared.output import tell
from .command import row
from .host_context import ROOT, Here
from .privileges import People

# Run by `python3 -I -c`: takes our packages from the first line of stdin, and the request from what follows it.
BOOT = """
import base64, bz2, importlib.abc, importlib.machinery, json, sys, types
files = json.loads(bz2.decompress(base64.b64decode(sys.stdin.buffer.readline())))
def file_of(name):
    below = name.partition(".")[2].replace(".", "/")
    return next((file for file in (f"{below}/__init__.py", f"{below}.py") if file in files), None)
class Memory(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path=None, target=None):
        if name.startswith("signalbox.") and (file := file_of(name)):
            is_package = file.endswith("/__init__.py")
            spec = importlib.machinery.ModuleSpec(name, self, origin=file, is_package=is_package)
            spec.has_location = True  # so that data beside it is found
            return spec
    def get_source(self, name):
        return files[file_of(name)]
    def get_data(self, path):
        return files[path].encode()
sys.meta_path.insert(0, Memory())
sys.modules["signalbox"] = types.ModuleType("signalbox")
sys.modules["signalbox"].__path__ = []
from signalbox.doctor.remote import main
sys.exit(main())
"""


def packed(files: Mapping[str, str]) -> str:
    """Return the files of packages, by their paths, as one line of text."""
    return base64.b64encode(bz2.compress(json.dumps(dict(files)).encode())).decode()


def main() -> int:
    """Look as the request on stdin asks, and print what was seen."""
    request = json.load(sys.stdin)
    here = Here(request["expected"], frozenset((ROOT,)), request["billed"], request["quick"])
    people = People(here)
    outcomes, findings = people.findings()
    answer = {
        "epoch": time.time(),
        "checks": [{"title": each.title, "as": each.role, "problem": each.problem} for each in outcomes],
        "findings": [row(finding) for finding in findings],
    }
    if request["drill_seconds"]:
        from .drill import drill

        well = not findings and not any(each.problem for each in outcomes)
        answer["drills"] = list(drill(here, people, request["drill_seconds"])) if well else []
        if not answer["drills"]:
            answer["undrilled"] = "no local model has a fallback" if well else "not everything is well before it"
    tell(json.dumps(answer))
    return 0
