"""Keeps the gateway's port while the container that answers behind it is replaced. Python's standard library alone.

    supervisor.py serve RUNTIME STATE PORT [LABEL]   be the gateway: main process of litellm.service, or of its stand-in
    supervisor.py swap RUNTIME   have what was staged replace what runs; exit status 1, and why: it did not

RUNTIME: the unit's, in memory; stage.py puts there what a container starts from: next, good. STATE/good holds the
last files that came up healthy: a restart takes them when what is wanted does not come up.

One request a connection (relay.py): so a connection is a request under way, all others already go to the new
container, and the old one stops when its last has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

from .container import LABEL, Container, RefusedError, free_port, say
from .relay import Client

FILES = ("config.yaml", "start", "container.json")


class Gateway:
    """The listening port, the container that new requests go to, and those that end their last ones."""

    def __init__(self, port: int, runtime: Path, state: Path, label: str = LABEL) -> None:
        self.runtime, self.state, self.label = runtime, state, label
        self._active: Container | None = None
        self._old: set[Container] = set()
        self._number = 0
        self._one = asyncio.Lock()
        self._stopping = asyncio.Event()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind(("127.0.0.1", port))  # taken now; it listens once there is an answer
        except OSError as error:
            raise RefusedError(f"127.0.0.1:{port}: {error.strerror}") from None

    @property
    def active(self) -> Container:
        """The container that new requests go to: there is one as soon as this listens."""
        if self._active is None:
            raise RuntimeError("no container has come up")
        return self._active

    async def serve(self) -> int:
        """Answer until told to stop, or until the container ends. Returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)
        stopping = asyncio.create_task(self._stopping.wait())
        starting = asyncio.create_task(self._first())
        try:
            await asyncio.wait((stopping, starting), return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return 0
            starting.result()
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: Client(lambda: self.active), sock=self.socket, backlog=1024)
            await asyncio.start_unix_server(self._control, self.runtime / "control")
            notify("READY=1")
            while not (stopping.done() or self.active.ended.done()):  # looked at each second: a swap changes it
                await asyncio.wait((stopping, self.active.ended), timeout=1, return_when=asyncio.FIRST_COMPLETED)
            server.close()
            if not stopping.done():
                say(f"the gateway's container ended by itself (exit status {self.active.ended.result()})")
                return 1
            return 0
        finally:
            starting.cancel()
            await asyncio.gather(*(each.stop(20) for each in (self._active, *self._old) if each))

    async def _first(self) -> None:
        better = self._differ()
        try:
            self._take(await self._started("next"))
        except RefusedError as error:
            self._refused(error)
            if not better:
                raise
            say(f"what is wanted does not come up, so what was good last starts; {error}")
            self._take(await self._started("good"))
        else:
            self._keep()

    def _differ(self) -> bool:
        wanted, good = (self.runtime / name / "inputs" for name in ("next", "good"))
        return good.exists() and good.read_text() != wanted.read_text()

    async def swap(self) -> None:
        """Give all new requests to what was staged; RefusedError: it does not come up, and nothing changes."""
        async with self._one:
            self._forget("good")
            try:
                new = await self._started("next")
            except RefusedError as error:
                self._refused(error)
                raise
            old = self.active
            self._take(new)
            self._keep()
        self._old.add(old)
        draining = asyncio.create_task(old.drain())
        draining.add_done_callback(lambda _: self._old.discard(old))
        say(f"{new.name} answers; {old.name} ends its last {old.requests} requests")

    async def _started(self, name: str) -> Container:
        self._number += 1
        place = self.runtime / str(self._number)
        shutil.rmtree(place, ignore_errors=True)
        try:
            (self.runtime / name).rename(place)
        except FileNotFoundError:
            raise RefusedError("nothing is staged; run the deploy again") from None
        each = Container(place, free_port(), self.label)
        self._old.add(each)  # ended with the rest when the unit stops meanwhile
        try:
            await each.start()
        except RefusedError:
            await each.stop()
            raise
        finally:
            self._old.discard(each)
        return each

    def _take(self, new: Container) -> None:
        """Have it get all new requests, and note what it runs with."""
        self._active = new
        self._forget("good")
        replace(self.runtime / "inputs", (self.runtime / "started").read_text() + (new.place / "inputs").read_text())

    def _forget(self, name: str) -> None:
        """Have what was staged under this name, with its keys, in memory no longer than it is of use."""
        shutil.rmtree(self.runtime / name, ignore_errors=True)

    def _keep(self) -> None:
        """Keep the files of what runs, which is what is wanted, for a start that has nothing better."""
        replace(self.state / "good", json.dumps({name: (self.active.place / name).read_text() for name in FILES}))
        (self.runtime / "refused").unlink(missing_ok=True)

    def _refused(self, error: RefusedError) -> None:
        replace(self.runtime / "refused", f"{error}\n")

    async def _control(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Whoever connects wants a swap, and is told why there was none."""
        try:
            await self.swap()
        except RefusedError as error:
            writer.write(f"{error}\n".encode())
        else:
            writer.write(b"swapped\n")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()


def replace(path: Path, text: str) -> None:
    """Write a file in one step."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3))."""
    if path := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as each:
            each.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)


def ask(runtime: Path) -> None:
    """Have a swap, and wait for it; RefusedError: there was none."""
    with socket.socket(socket.AF_UNIX) as each:
        try:
            each.connect(str(runtime / "control"))
        except OSError as error:
            raise RefusedError(f"the gateway's supervisor does not answer: {error}") from None
        said = each.makefile().read().strip()
    if said != "swapped":
        raise RefusedError(said or "the gateway's supervisor ended meanwhile")


def main(verb: str, runtime: str, *words: str) -> int:
    """Do what the command line says. Returns the exit status."""
    os.umask(0o077)
    try:
        if verb == "swap":
            ask(Path(runtime))
            return 0
        state, port, *label = words
        return asyncio.run(_serve(int(port), Path(runtime), Path(state), *label))
    except RefusedError as error:
        print(error, file=sys.stderr, flush=True)
        return 1


async def _serve(port: int, runtime: Path, state: Path, label: str = LABEL) -> int:
    return await Gateway(port, runtime, state, label).serve()
