"""What the model servers say, as seen from the host."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Sequence
from typing import Any

from pyinfra.api import FactBase

from signalbox.launcher import context

# The launchers' own function reads the answers there, so that a long list of models need not travel.
_PROGRAM = f"""from __future__ import annotations
import json, sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
{inspect.getsource(context.loaded)}
{inspect.getsource(context._at)}
def tell(reading):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
    try:
        with opener.open(reading["url"], timeout=float(sys.argv[1])) as answer:
            return {{"context": loaded(json.load(answer), reading)}}
    except Exception:
        return {{}}
with ThreadPoolExecutor(8) as pool:
    for told in pool.map(tell, json.loads(sys.argv[2])):
        print(json.dumps(told))
"""


class LoadedContexts(FactBase[list[dict[str, int | None]]]):
    """For each reading {"context": tokens or None}, or {} where the server is off, wants a key, or told nothing."""

    def command(self, readings: Sequence[dict[str, Any]], seconds: int) -> str:
        """Return the command; a host without python3 tells nothing."""
        if not readings:
            return "true"
        words = ["python3", "-ISc", _PROGRAM, str(seconds), json.dumps(readings)]
        return f"{shlex.join(words)} 2>/dev/null || true"

    default = list

    def process(self, output: list[str]) -> list[dict[str, int | None]]:
        """Parse one line of JSON for each reading."""
        return [json.loads(line) for line in output]
