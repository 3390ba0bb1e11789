"""What the model servers say, as seen from the host."""

from __future__ import annotations

import json
import shlex
from typing import Any

from pyinfra.api import FactBase

MAX_BYTES = 256 * 1024  # of an answer; more is no list of models


class ModelServers(FactBase[dict[str, Any]]):
    """By URL what a model server answers to a GET, parsed from JSON; without those that are off or want a key."""

    def command(self, urls: tuple[str, ...], seconds: int) -> str:
        """Return the command; a host without curl tells nothing."""
        options = f"-gfsSL --noproxy '*' --max-time {seconds} --max-filesize {MAX_BYTES}"
        asked = (
            f"printf '%s ' {shlex.quote(url)}; curl {options} {shlex.quote(url)} 2>/dev/null | tr -d '\\r\\n'; echo"
            for url in urls
        )
        return "; ".join([*asked, "true"])

    default = dict

    def process(self, output: list[str]) -> dict[str, Any]:
        """Parse a URL and an answer a line."""
        answers = {}
        for url, _, answer in (line.partition(" ") for line in output):
            try:
                answers[url] = json.loads(answer)
            except ValueError:
                continue  # it told nothing, or no JSON
        return answers
