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

from .command import row
from .here import ROOT, Here
from .people import People
from .speak import tell

# Run by `python3 -I -c`: takes this package from the first line of stdin, and the request from what follows it.
BOOT = """
import base64, bz2, importlib.abc, importlib.machinery, json, sys
files = json.loads(bz2.decompress(base64.b64decode(sys.stdin.buffer.readline())))
class Memory(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path=None, target=None):
        key = name.partition(".")[2] or "__init__"
        if name.partition(".")[0] == "doctor" and key + ".py" in files:
            spec = importlib.machinery.ModuleSpec(name, self, origin=f"doctor/{key}.py", is_package=key == "__init__")
            spec.has_location = True  # so that data beside it is found
            return spec
    def get_source(self, name):
        return files[(name.partition(".")[2] or "__init__") + ".py"]
    def get_data(self, path):
        return files[path.rpartition("/")[2]].encode()
sys.meta_path.insert(0, Memory())
from doctor.carried import main
sys.exit(main())
"""


def packed(files: Mapping[str, str]) -> str:
    """Return the package's files as one line of text."""
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
