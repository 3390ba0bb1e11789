"""The process that runs the simulators."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from tests.lab.simulators.client import REQUEST_LOG, STATE_FILE
from tests.lab.simulators.control import Control
from tests.lab.simulators.faults import Faults
from tests.lab.simulators.journal import Journal
from tests.lab.simulators.personalities import personalities
from tests.lab.simulators.server import SimulatedServer

CONTROL_PORT = 1233


def url(bind: str, port: int) -> str:
    """The URL of a port on an IPv4 or IPv6 address."""
    return f"http://[{bind}]:{port}" if ":" in bind else f"http://{bind}:{port}"


async def run(bind: str, state: Path, ports: dict[str, int], control_port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Everything listens on `bind` alone. ports: by server's name, where not the usual one; 0: any free one.
    Once all listen, the state file says where. Raises OSError when an address or port cannot be had.
    """
    faults, journal = Faults(), Journal(state / REQUEST_LOG)
    servers = {p.name: SimulatedServer(p, bind, ports.get(p.name, p.port), faults, journal) for p in personalities()}
    control = web.AppRunner(Control(servers, faults, journal).app(), access_log=None, shutdown_timeout=0.1)
    await control.setup()
    try:
        for server in servers.values():
            await server.open()
        await web.TCPSite(control, bind, control_port).start()
        where = {
            "pid": os.getpid(),
            "control": url(bind, control.addresses[0][1]),
            "servers": {name: url(bind, server.port) for name, server in servers.items()},
        }
        written = state / f"{STATE_FILE}.new"
        written.write_text(json.dumps(where))
        written.replace(state / STATE_FILE)
        await _until_told()
    finally:
        for server in servers.values():
            await server.close()
        await control.cleanup()
        with suppress(FileNotFoundError):
            (state / STATE_FILE).unlink()


async def _until_told() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()
