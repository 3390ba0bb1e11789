"""Keeps an eye on the local model servers: whether each answers, and with how much context its models are loaded.

LiteLLM's own health checks are off: they send completions, which evict the prompt cache of a local server, and do not
spare a request the wait for a machine that is off. This asks the server's list of models instead, in the background
and just before a request: a millisecond on a LAN, nothing to compute, and answered while a long prompt is being read.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from ..shared import context, reasons
from . import deployments, probe
from .deployments import ModelInfo
from .request_record import Request, under_way

INTERVAL = float(os.environ.get("SIGNALBOX_PROBE_SECONDS", "5"))  # between probes of a local server
FRESH = 1.0  # seconds for which a server that has answered a probe is there
LATELY = 60.0  # seconds for which a server that has worked here, and takes connections, is taken for busy
THREADS = 64  # for names that nobody resolves: they keep neither LiteLLM nor another server waiting


class ServerWatch:
    """What is known of the servers. again: called with a model's information whenever its server was seen to answer."""

    def __init__(self, again: Callable[[ModelInfo], None]) -> None:
        self._again = again
        self.gone: set[str] = set()  # URLs of servers that do not answer
        self.short: dict[str, str] = {}  # id: what is to be said of a model that is loaded with too little context
        self._worked: dict[str, float] = {}  # URL: when it was last at work for somebody here, and has not failed
        self._looks: dict[str, asyncio.Task[int | str]] = {}  # URL: the probe that is under way
        self._told: dict[str, int | str] = {}  # URL: what the last probe came to
        self._seen: dict[str, float] = {}  # URL: when it answered one last (monotonic clock)
        self._loaded: dict[str, int | None] = {}  # id: tokens of context that the model is loaded with
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have the local servers looked at from now on."""
        if self._watch is None or self._watch.done():
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
            self._watch = asyncio.create_task(self.watch())

    async def answers(self, url: str | None) -> bool:
        """Return whether a server answers now, by the URL of its probe; a cloud, which has none, is not asked."""
        if url is None:
            return True
        return url not in self.gone and (time.monotonic() < self._seen.get(url, 0) + FRESH or await self._look(url))

    def works(self, info: ModelInfo) -> None:
        """Take note that a model's server gets a request."""
        if url := info.get("probe_url"):
            self._worked[url] = time.monotonic()

    def failed(self, ident: str) -> None:
        """Take note that the server of a deployment has failed a request: it is not taken for busy."""
        for info in _infos():
            if info["id"] == ident:
                self._worked.pop(info.get("probe_url", ""), None)

    def loaded(self) -> dict[str, int | None]:
        """Return with how many tokens each deployment is loaded, by its id; None: it is not known."""
        return {info["id"]: self._loaded.get(info["id"]) for info in _infos()}

    def servers(self) -> dict[str, int | str | None]:
        """Return of each local server, by its record's name, its HTTP status or why there is none; None: not yet."""
        local = [info for info in _infos() if info.get("probe_url")]
        return {deployments.split(info["id"])[0]: self._told.get(info["probe_url"]) for info in local}

    def why(self, infos: Iterable[ModelInfo]) -> str | None:
        """Return why the servers of these do not answer, as a word of reasons.py; None: nothing more is known."""
        told = (self._told.get(info.get("probe_url", "")) for info in infos)
        return next((each for each in told if isinstance(each, str) and each in reasons.WHY), None)

    async def watch(self) -> None:
        """Keep an eye on them: one that answers again is asked again."""
        while True:
            infos = _infos()
            urls = {info["probe_url"] for info in infos if info.get("probe_url")}
            there = dict(zip(urls, await asyncio.gather(*map(self._look, urls)), strict=True))
            answering = [info for info in infos if there.get(info.get("probe_url", ""))]
            for info in answering:
                self._again(info)
            read = [info for info in answering if info.get("reading")]
            told = await asyncio.gather(*(probe.loaded(info["reading"]) for info in read))
            self._loaded = {info["id"]: tokens for info, tokens in zip(read, told, strict=True)}
            short = {info["id"]: words for info in read if (words := too_little(self._loaded, info))}
            for words in set(short.values()) - set(self.short.values()):
                print(f"signalbox: {words}", flush=True)
            self.short = short
            await asyncio.sleep(INTERVAL)

    async def _look(self, url: str) -> bool:
        """Probe a server, once for all who want to know at this moment."""
        if url not in self._looks:
            self._looks[url] = asyncio.create_task(probe.answers(url))
        try:
            told = await asyncio.shield(self._looks[url])
        finally:
            self._looks.pop(url, None)
        there = isinstance(told, int)
        if told in ("timeout", "slow"):  # a busy server may be slow to answer, and is not gone
            there = any(works_on(request, url) for request in under_way)
            if there:
                self._worked[url] = time.monotonic()
            elif told == "slow":
                there = time.monotonic() - self._worked.get(url, -LATELY) < LATELY
        self._told[url] = told
        if isinstance(told, int):
            self._seen[url] = time.monotonic()
        (self.gone.discard if there else self.gone.add)(url)
        return there


def _infos() -> list[ModelInfo]:
    return [each["model_info"] for each in deployments.known()]


def works_on(request: Request, url: str) -> bool:
    """Return whether the server with this probe was asked last for this request, and has not failed it."""
    last = request.tried[-1] if request.tried else None
    return last is not None and last.why is None and last.info.get("probe_url") == url


def too_little(tokens: Mapping[str, int | None], info: ModelInfo) -> str | None:
    """Return what is to be said of a model that is loaded with less than Claude Code needs; None: nothing."""
    if tokens.get(info["id"]) is None:
        return None
    said = context.verdicts(tokens[info["id"]], info["reading"])
    return next((words for grave, words in said if grave == "refused"), None)
