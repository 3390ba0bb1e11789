"""One container of the gateway: started, proved, drained, ended. Python's standard library alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from asyncio.subprocess import Process
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from .relay import Behind

LABEL = "gateway"  # of a container, so that it is found; another one's supervisor has another
PORTS = range(24000, 24100)  # of the loopback, for containers: below those that the kernel gives to clients
ANSWER = 1 << 20  # bytes that are read of an answer of it
STOP = 10  # seconds for a container without requests to end
PIECE = 1 << 16  # bytes of its output that are passed on at once
RELAY = "x-signalbox-relay"  # the header by which a container knows that we ask, and nobody past us
WORDS = 6000  # bytes of its last output, which is told when it does not come up
DECORATION = re.compile(r"INFO:|\s*#|[^A-Za-z]*$")  # no ERROR, LiteLLM's frames, and letters made of blocks


FAILED = (OSError, HTTPException, ValueError, RecursionError)  # what comes of an answer that is none


class RefusedError(Exception):
    """What was staged does not replace what runs; why."""


class Plan(TypedDict):
    """container.json, as desired/gateway_container.py writes it."""

    run: list[str]  # what `docker run` gets beside a name, a port and mounts
    secrets: dict[str, tuple[str, str]]  # by name, its file on the host and the command that reads it
    names: list[str]  # of servers, which this host may know otherwise than by DNS
    deployments: list[str]  # ids of what LiteLLM shall serve
    start_timeout_seconds: float
    drain_seconds: float


class Container:
    """One container, started from the files in `place`; two supervisors have places of different names.

    requests: how many are under way. spare: connections to it that wait for one.
    """

    def __init__(self, place: Path, port: int, label: str = LABEL) -> None:
        self.place, self.port, self.label = place, port, f"signalbox={label}"
        self.name = f"{place.parent.name}-{place.name}"
        self.plan: Plan = json.loads((place / "container.json").read_text())
        self.relay = (place / "secrets/RELAY").read_text()
        self.requests = 0
        self.spare: list[Behind] = []
        self._ended: asyncio.Task[int] | None = None
        self._said = b""

    @property
    def ended(self) -> asyncio.Task[int]:
        """Done when it has ended, with its exit status."""
        if self._ended is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._ended

    async def start(self) -> None:
        """Start it, and return when LiteLLM answers and serves what it shall; RefusedError: it does not."""
        mounts = ((self.place / "start", "/signalbox/start"), (self.place / "config.yaml", "/signalbox/config.yaml"),
                  (self.place / "secrets", "/run/secrets"))  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            "docker", "run", "--rm", "--name", self.name, "--label", self.label,
            "--publish", f"127.0.0.1:{self.port}:4000",
            *(f"--mount=type=bind,src={source},dst={path},readonly" for source, path in mounts),
            *(f"--add-host={line}" for line in (self.place / "hosts").read_text().splitlines()),
            *self.plan["run"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._ended = asyncio.create_task(self._listen(process))
        patience = self.plan["start_timeout_seconds"]
        try:
            await asyncio.wait_for(self._ready(), patience)
        except TimeoutError:
            raise self._refused(f"the gateway did not answer within {patience} s") from None
        missing = sorted(set(self.plan.get("deployments", ())) - await asyncio.to_thread(self._served))
        if missing:
            raise self._refused(f"LiteLLM does not take the configuration of {', '.join(missing)}")

    async def _ready(self) -> None:
        while not await asyncio.to_thread(self._answers):
            if self.ended.done():
                raise self._refused(f"the gateway ended while it started (exit status {self.ended.result()})")
            await asyncio.sleep(0.2)

    def _answers(self) -> bool:
        try:
            self._get("/health/readiness")  # needs no key and costs nothing (/health would bill)
        except FAILED:
            return False
        return True

    def _served(self) -> set[str]:
        try:
            return set(self._get("/signalbox/models"))  # by record: LiteLLM lists a model once, whoever serves it
        except (*FAILED, TypeError) as error:
            raise self._refused(f"the gateway does not tell its models: {error}") from None

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={RELAY: self.relay})
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 (the loopback)
            return json.loads(answer.read(ANSWER))

    async def _listen(self, process: Process) -> int:
        """Hand its output on, until it ends; return its exit status."""
        while process.stdout and (piece := await process.stdout.read(PIECE)):
            self._said = (self._said + piece)[-WORDS:]
            sys.stdout.buffer.write(piece)
            sys.stdout.flush()
        return await process.wait()

    def _refused(self, why: str) -> RefusedError:
        """Return the error: its last words, without what only decorates them, and why."""
        lines = [line for line in self._said.decode(errors="replace").splitlines() if not DECORATION.match(line)]
        return RefusedError("\n".join([*lines, why]))

    async def stop(self, seconds: int = STOP) -> None:
        """End it, and forget its keys."""
        if self._ended:
            await docker("stop", "-t", str(seconds), self.name)
            await docker("rm", "--force", self.name)
            await self._ended
        shutil.rmtree(self.place, ignore_errors=True)

    async def drain(self) -> None:
        """Wait until its last request has ended, or for as long as they are given, and end it."""
        patience = self.plan["drain_seconds"]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle(), patience)
        if self.requests:
            say(f"{self.requests} requests of {self.name} are cut off: they took longer than {patience} s")
        await self.stop()

    async def _idle(self) -> None:
        while self.requests:
            await asyncio.sleep(0.1)


def free_port() -> int:
    """Return a port of the loopback that nobody has."""
    for port in PORTS:
        with socket.socket() as each, contextlib.suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", port))
            return port
    raise RefusedError(f"all ports from {PORTS.start} to {PORTS.stop - 1} are taken")


async def docker(*words: str) -> None:
    """Call Docker; what it says of a container that is gone already does not matter."""
    process = await asyncio.create_subprocess_exec(
        "docker", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    await process.wait()


def say(text: str) -> None:
    """Tell the journal."""
    print(f"signalbox: {text}", flush=True)
