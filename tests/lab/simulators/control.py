"""The control channel: its own port, so that it works while a simulated server refuses connections."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from tests.lab.simulators.faults import Fault, Faults
from tests.lab.simulators.journal import Journal
from tests.lab.simulators.server import SimulatedServer


class Control:
    """HTTP below /__lab: fault, requests, options, and the whole (GET to look, DELETE to start afresh)."""

    def __init__(self, servers: dict[str, SimulatedServer], faults: Faults, journal: Journal) -> None:
        self._servers = servers
        self._faults = faults
        self._journal = journal

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/__lab", self._overview),
                web.delete("/__lab", self._reset),
                web.get("/__lab/fault", self._list_faults),
                web.post("/__lab/fault", self._add_fault),
                web.delete("/__lab/fault", self._clear_faults),
                web.get("/__lab/requests", self._requests),
                web.delete("/__lab/requests", self._clear_requests),
                web.post("/__lab/options", self._configure),
            ]
        )
        return app

    def _server(self, name: Any) -> SimulatedServer:
        if name not in self._servers:
            raise web.HTTPBadRequest(text=f"no server {name!r}; there are: {', '.join(self._servers)}")
        return self._servers[name]

    async def _overview(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                name: {
                    "bind": server.bind,
                    "port": server.port,
                    "listening": server.listening,
                    "options": server.personality.configure(),
                }
                for name, server in self._servers.items()
            }
        )

    async def _list_faults(self, _: web.Request) -> web.Response:
        return web.json_response([fault.model_dump() for fault in self._faults.open])

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.model_validate(await request.json())
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, e['loc'])) or 'fault'}: {e['msg']}" for e in error.errors()]
            raise web.HTTPBadRequest(text="\n".join(lines)) from None
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"not JSON: {error}") from None
        server = self._server(fault.server)
        self._faults.open.append(fault)
        if fault.kind == "refuse":
            await server.close()
        return web.json_response(fault.model_dump(), status=201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        name = request.query.get("server")
        await self._end_faults([self._server(name)] if name else list(self._servers.values()), name)
        return web.json_response({})

    async def _end_faults(self, servers: list[SimulatedServer], name: str | None) -> None:
        self._faults.clear(name)
        for server in servers:
            server.release()
            await server.open()

    async def _requests(self, request: web.Request) -> web.Response:
        name = request.query.get("server")
        return web.json_response([r for r in self._journal.records if name in (None, r["server"])])

    async def _clear_requests(self, _: web.Request) -> web.Response:
        self._journal.clear()
        return web.json_response({})

    async def _configure(self, request: web.Request) -> web.Response:
        options = await request.json()
        personality = self._server(options.pop("server", None)).personality
        try:
            return web.json_response(personality.configure(**options))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    async def _reset(self, _: web.Request) -> web.Response:
        await self._end_faults(list(self._servers.values()), None)
        self._journal.clear()
        for server in self._servers.values():
            server.personality.reset()
        return web.json_response({})
