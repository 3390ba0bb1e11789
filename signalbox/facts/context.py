"""What the model servers say, as seen from the host."""

from __future__ import annotations

from typing import Any

from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, asked, claim, records
from signalbox.untrusted import json_of

MAX_BYTES = 90 * 1024  # of an answer; more is no list of models


class ModelServers(HostFact[dict[str, Any]]):
    """By URL what a model server answers to a GET, parsed from JSON; without those that are off or want a key."""

    def command(self, urls: tuple[str, ...], seconds: int) -> Script:
        """Return the command; a host without curl tells nothing."""
        each = (
            sh(
                "printf 'told\\0%s\\0' {url}; curl -gfsSL --noproxy '*' --proto -all,http,https --max-redirs 5"
                " --max-time {seconds} --max-filesize {size} {url} | head -c {more} | base64 -w0; printf '\\0'",
                url=url,
                seconds=seconds,
                size=MAX_BYTES,
                more=MAX_BYTES + 1,
            )
            for url in urls
        )
        return asked(each_of(*each), seconds=10 + seconds * len(urls))

    default = dict

    def process(self, output: list[str]) -> dict[str, Any]:
        """Read a URL and an answer a record."""
        answers = {}
        for _, url, answer in records(output, {"told": 2}):
            try:
                answers[url] = json_of(claim(answer), max_bytes=MAX_BYTES)
            except ValueError:
                continue  # it told nothing, or no JSON
        return answers
